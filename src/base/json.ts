// The shape of data that JSON can carry, for facts and notes whose fields differ from source to source.

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}
