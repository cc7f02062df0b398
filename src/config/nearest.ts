// "Did you mean": the known word that a mistyped one most resembles.

/** Typos are found in short words; comparing long ones costs the product of their lengths. */
const lengthMax = 64;

/** The nearest of `candidates`, or undefined if none is near enough to be meant. */
export function nearestOf(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > lengthMax) return undefined;
  let nearest: string | undefined;
  // Up to a third of the letters may be wrong, and one in any case.
  let limit = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance >= limit) continue;
    nearest = candidate;
    limit = distance;
  }
  return nearest;
}

/** How many letters must be changed, added, removed or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  const cell = (i: number, j: number) => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = cell(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(substitution, cell(i - 1, j) + 1, cell(i, j - 1) + 1, isSwap ? cell(i - 2, j - 2) + 1 : Infinity),
      );
    }
  }
  return cell(a.length, b.length);
}
