// Whether synchronous_standby_names would make commits of the server wait for us. Pure.

/** `'*'`, `FIRST 2 (a, "b c")`, `ANY 1 (a)`, `a, b`: true if a name in it is that of the application, or any. */
export function namesStandby(setting: string, applicationName: string): boolean {
  const list = /^\s*(?:(?:FIRST|ANY)\s+)?\d+\s*\((.*)\)\s*$/is.exec(setting)?.[1] ?? setting;
  const names = list.match(/"(?:[^"]|"")*"|[^\s,"]+/g) ?? [];
  return names.some((name) => {
    if (name === '*' || name === '"*"') return true;
    const plain = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
    return plain.toLowerCase() === applicationName.toLowerCase();
  });
}
