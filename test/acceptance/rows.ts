// The requirements of the two example applications, by area: those that the tests of this folder prove, and those that
// wait for a later part of the product.

/** Row ids by area; each must stand in the title of a test of this folder. */
export const provenRows: Readonly<Record<string, readonly string[]>> = {
  engine: ['S1-03', 'S1-04', 'S1-22'],
  security: ['S1-68', 'S1-69', 'S1-70', 'S1-71'],
  storage: ['S1-05', 'S1-09', 'S1-16', 'S1-17', 'S1-18', 'S1-85', 'S2-030'],
  'sources/postgres': ['S1-21', 'S1-23', 'S1-24', 'S1-83', 'S2-001', 'S2-041'],
  'sources/redis': ['S1-25', 'S1-26', 'S1-27', 'S1-28', 'S1-84', 'S2-002', 'S2-042', 'S2-043'],
  'sources/files': ['S2-003', 'S2-034', 'S2-035', 'S2-071'],
  'sources/config': ['S2-004', 'S2-037', 'S2-038', 'S2-039'],
  pitr: ['S1-06', 'S1-79', 'S1-80', 'S2-054'],
  restore: ['S1-29', 'S1-30', 'S1-31', 'S1-32', 'S1-87', 'S1-88', 'S2-048'],
  verification: ['S1-07', 'S1-33', 'S1-34', 'S1-35', 'S1-36', 'S1-37', 'S2-008', 'S2-056', 'S2-073', 'S2-090'],
  api: ['S2-040', 'S2-046', 'S2-047', 'S2-049', 'S2-067', 'S2-068', 'S2-093'],
  cli: ['S1-10', 'S1-75', 'S1-76', 'S1-77', 'S1-78', 'S1-82'],
  config: ['S1-12', 'S1-13', 'S1-14', 'S1-15'],
  alerting: [
    'S1-42',
    'S1-43',
    'S2-100',
    'S2-101',
    'S2-107',
    'S2-108',
    'S2-109',
    'S2-110',
    'S2-111',
    'S3-70',
    'S4-115',
    'S4-116',
  ],
  contacts: ['S2-086', 'S2-087', 'S3-05', 'S4-114'],
  monitoring: ['S2-102', 'S2-105', 'S2-106', 'S1-08', 'S2-006', 'S3-64', 'S3-65', 'S3-66', 'S3-67', 'S3-68', 'S3-69'],
  probes: ['S3-58'],
  defects: ['SF-18', 'SF-19', 'SF-20', 'SF-21', 'SF-22'],
};

/** Rows of the same areas of which a part is not built yet, and what they wait for. */
export const laterRows: Readonly<Record<string, string>> = {
  'S2-063': 'api: warming up a cache is for the application; the endpoint says so',
  'S1-19': 'storage: a class that does not answer at once, for an archive repository of its own',
  'S1-20': 'storage: expiry by the bucket, for an archive repository of its own',
  'S2-011': 'storage: copies to another region on a schedule',
  'S2-036': 'sources/files: archives of logs',
  'S2-070': 'sources/files: telling missing and corrupted files of a live folder',
  'S2-072': 'sources/files: database references to restored files',
};
