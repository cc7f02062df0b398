// Whether an answer to `init`, given as an option or typed, may stand in lifeboat.yaml: asked of the same schemas that read it.
import { AppError } from '../base/errors.ts';
import { applicationSchema, environmentNameSchema } from '../model/application.ts';
import { locationSchema } from '../model/repository-settings.ts';
import { cronSchema } from '../model/schedule.ts';

const schemas = {
  application: applicationSchema,
  environment: environmentNameSchema,
  repository: locationSchema,
  cron: cronSchema,
} as const;

type Answers = Readonly<Partial<Record<keyof typeof schemas, string | undefined>>>;

/** What would be right in its place; undefined if the answer is. */
export function wrongAnswer(kind: keyof typeof schemas, answer: string): string | undefined {
  const message = schemas[kind].safeParse(answer).error?.issues[0]?.message;
  return message === undefined || message.startsWith('expected ') ? message : 'expected text that is not empty';
}

/** Tells of all at once. */
export function refuseWrongAnswers(answers: Answers): void {
  const problems = (Object.keys(schemas) as (keyof typeof schemas)[]).flatMap((kind) => {
    const answer = answers[kind];
    const wrong = answer === undefined ? undefined : wrongAnswer(kind, answer);
    return wrong === undefined ? [] : [`--${kind}: found '${answer}', ${wrong}`];
  });
  if (problems.length === 0) return;
  const message = problems.length === 1 ? problems.join('') : `some answers can't be used\n  ${problems.join('\n  ')}`;
  throw new AppError('USAGE', message, { hint: 'Correct it; nothing was written.' });
}
