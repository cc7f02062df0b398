// How many of something, in words. Every layer writes messages for people, so all count by this.

/** `1 file`, `12 files`, `1,200 entries`. */
export function count(number: number, one: string, many = pluralOf(one)): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}

function pluralOf(one: string): string {
  return /[^aeiou]y$/.test(one) ? `${one.slice(0, -1)}ies` : `${one}s`;
}
