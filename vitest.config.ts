import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/support/provision-setup.ts'],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    // Only what hangs is to meet these: on a busy machine the same test takes three times as long as on a quiet one.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    pool: 'forks',
    // For two cores, the smallest machine: much of the time a test waits for a server or a clock.
    maxWorkers: 3,
    unstubEnvs: true,
    projects: [
      // A process and its modules serve many files: nothing of ours is global, and starting anew took two seconds of a processor each.
      { extends: true, test: { name: 'units', include: ['src/**/*.test.ts'], isolate: false } },
      { extends: true, test: { name: 'scenes', include: ['test/**/*.test.ts'], isolate: false } },
    ],
  },
});
