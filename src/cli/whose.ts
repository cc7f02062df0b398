// Whose something is: a list about several applications says it, since each may have a `database`. In a list about one it would say nothing.

export function isOfSeveral(all: readonly { readonly application?: string | null | undefined }[]): boolean {
  return new Set(all.flatMap(({ application }) => application ?? [])).size > 1;
}
