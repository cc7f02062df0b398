// A YAML text without what its comments say: a secret that was once in force may still stand there.
import { Lexer } from 'yaml';

/** The lexer's own marks, which stand in no text. */
const marks = new Set(['\u{FEFF}', '\u0002', '\u0018', '\u001F']);

/** Everything else stays at its line and column. */
export function withoutComments(text: string): string {
  let isScalar = false;
  let left = '';
  for (const token of new Lexer().lex(text)) {
    if (!marks.has(token) && (isScalar || !token.startsWith('#'))) left += token;
    isScalar = token === '\u001F';
  }
  return left;
}
