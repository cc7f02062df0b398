// Passwords with other than ASCII characters, brought to the form in which PostgreSQL hashes them (SASLprep, RFC 4013). A password
// that the rules forbid is taken as it is, as servers and libpq do. The rules know Unicode 3.2; one case differs here: a password
// with characters newer than that beside others that normalisation changes.

type Ranges = readonly (readonly [number, number])[];

const spaces: Ranges = [
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200b],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];

/** Soft hyphens, joiners, variation selectors. */
const dropped: Ranges = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x1806, 0x1806],
  [0x180b, 0x180d],
  [0x200c, 0x200d],
  [0x2060, 0x2060],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
];

const forbidden: Ranges = [
  [0x340, 0x341],
  [0x6dd, 0x6dd],
  [0x70f, 0x70f],
  [0x180e, 0x180e],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2061, 0x2063],
  [0x206a, 0x206f],
  [0x2ff0, 0x2ffb],
  [0xfff9, 0xfffd],
  [0x1d173, 0x1d17a],
  [0xe0001, 0xe007f],
];
const forbiddenKinds = /[\p{Cc}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}]/u;

export function preparePassword(password: string): string {
  if (!/[^\p{ASCII}]/u.test(password)) return password;
  const mapped = Array.from(password, (character) => {
    if (isWithin(spaces, character)) return ' ';
    return isWithin(dropped, character) ? '' : character;
  });
  const prepared = mapped.join('').normalize('NFKC');
  const isForbidden = Array.from(prepared).some((one) => isWithin(forbidden, one) || forbiddenKinds.test(one));
  return prepared === '' || isForbidden ? password : prepared;
}

function isWithin(ranges: Ranges, character: string): boolean {
  const point = character.codePointAt(0) ?? 0;
  return ranges.some(([first, last]) => point >= first && point <= last);
}
