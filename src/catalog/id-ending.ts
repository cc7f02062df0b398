// Rows by the last characters of their ids: what people type.

/** For LIKE; characters that mean something there are in no id. */
export const endingPattern = (ending: string): string => `%${ending.replaceAll(/[%_\\]/g, '')}`;
