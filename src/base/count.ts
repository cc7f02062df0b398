// How many of something, in words. Every layer writes messages for people, so all count by this.

/** `1 file`, `12 files`, `1,200 files`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}
