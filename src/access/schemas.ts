// The shapes of what people and programs say about access: names, roles, scopes.
import { z } from 'zod';
import { nameSchema } from '../model/scalar-schemas.ts';
import { roles } from '../model/role.ts';
import { actions, everywhere } from './permissions.ts';

export const roleSchema = z.enum(roles);

const applicationsMax = 100;

export const applicationOrAllSchema = z.union([z.literal(everywhere), nameSchema]);

/** `["*"]`, or names. */
export const applicationsSchema = z
  .array(applicationOrAllSchema)
  .min(1)
  .max(applicationsMax)
  .refine((names) => new Set(names).size === names.length, 'expected each application once')
  .refine((names) => names.length === 1 || !names.includes(everywhere), 'expected * alone, or names');

export const scopesSchema = z
  .array(z.enum(actions))
  .min(1)
  .max(actions.length)
  .refine((scopes) => new Set(scopes).size === scopes.length, 'expected each action once');

export const grantsSchema = z
  .array(z.object({ application: applicationOrAllSchema, role: roleSchema }))
  .max(applicationsMax)
  .refine(
    (grants) => new Set(grants.map(({ application }) => application)).size === grants.length,
    'expected one role for each application',
  );

const userNameForm = 'a name of up to 64 letters, digits, . _ @ + and -';

/** Users are one whether they write themselves large or small. */
export const userNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/, `expected ${userNameForm}`)
  .transform((name) => name.toLowerCase())
  .meta({ title: userNameForm });

/** One line of text: what PostgreSQL can't store and what could steer a terminal is none. */
export const lineSchema = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^\P{Cc}*$/u, 'expected text without control characters')
    .refine((text) => text.isWellFormed(), 'expected well-formed text');
