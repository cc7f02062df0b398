// A store that can't be changed, for work that must leave no trace: inspecting a repository that is evidence or not ours.
import { AppError } from '../base/errors.ts';
import type { Store } from './store.ts';

export function readOnlyStore(inner: Store): Store {
  const refuse = async (verb: string, name: string): Promise<never> => {
    throw new AppError('STORE_READ_ONLY', `${verb} ${name}: ${inner.properties.location} was opened for reading only`, {
      hint: 'Run the command without the read-only option.',
    });
  };
  return {
    properties: inner.properties,
    get: (name, options) => inner.get(name, options),
    stat: (name, options) => inner.stat(name, options),
    list: (prefix, options) => inner.list(prefix, options),
    put: (name) => refuse('cannot write', name),
    remove: (name) => refuse('cannot remove', name),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
