// A password in an argument can be read by every user of the machine while the program runs, and stays in the shell's history:
// refused for all commands alike, before anything is done. What an address may hold otherwise its reader decides.
import { AppError } from '../base/errors.ts';

const inUserPart = /(?<scheme>[a-z][a-z0-9+.-]*):\/\/[^\s/?#@:]*:[^\s/?#]+@/i;
const inParameter = /^(?:.*=)?(?<scheme>[a-z][a-z0-9+.-]*):\/\/.*[?&](?:ssl)?password=[^&]/i;

/** Rejects with `SECRET_IN_ARGUMENT`; the argument is not repeated. */
export function refuseSecretArguments(args: readonly string[]): void {
  for (const [at, argument] of args.entries()) {
    const scheme = (inUserPart.exec(argument) ?? inParameter.exec(argument))?.groups?.['scheme'];
    if (scheme === undefined) continue;
    throw new AppError('SECRET_IN_ARGUMENT', `${whatOf(argument, args[at - 1])} holds a password`, {
      hint: `Leave it out and change it: every user of this machine could see it. ${otherWay(scheme)}`,
    });
  }
}

function whatOf(argument: string, before: string | undefined): string {
  const flag = /^--[a-z][a-z-]*(?==)/.exec(argument)?.[0] ?? /^--?[a-z][a-z-]*$/.exec(before ?? '')?.[0];
  return flag === undefined ? 'an address among the arguments' : `the address of ${flag}`;
}

function otherWay(scheme: string): string {
  if (/^postgres(?:ql)?$/i.test(scheme))
    return "Set PGPASSWORD, write it into ~/.pgpass, or give it as the component's password.";
  if (/^rediss?$/i.test(scheme)) return "Set REDIS_PASSWORD, or give it as the component's password.";
  return 'Credentials come from the environment or from lifeboat.yaml.';
}
