// What lifeboat.yaml says of the service that looks after the application: its own backups, and how people reach its API.
import { z } from 'zod';
import { roles } from './role.ts';
import { nameSchema, secretSchema, webUrlSchema } from './scalar-schemas.ts';
import { selfBackupSchema } from './self-backup.ts';

const openidSchema = z
  .strictObject({
    issuer: webUrlSchema.describe('address of the provider, as its discovery document names it'),
    clientId: z.string().min(1).describe('as which the provider knows this server'),
    clientSecret: secretSchema.describe('secret of that client'),
    newUsers: z
      .strictObject({
        role: z.enum(roles).describe('what they may be'),
        applications: z.array(nameSchema).min(1).optional().describe('of these applications; of all if absent'),
      })
      .optional()
      .describe('whoever the provider vouches for, and nobody has linked yet, becomes a user; refused if absent'),
  })
  .describe(
    'people log in through an OpenID provider; its redirect address is `/api/v1/sessions/openid/callback` below publicUrl',
  );

const proxyForm = 'an address or a network, such as 10.0.0.5 or 10.0.0.0/8';

const apiSchema = z
  .strictObject({
    publicUrl: webUrlSchema
      .refine((text) => (URL.parse(text)?.pathname ?? '/') === '/', 'expected a URL without a path')
      .optional()
      .describe('under which people reach the API; with https, cookies never travel in the clear'),
    trustedProxies: z
      .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]).meta({ title: proxyForm }))
      .default([])
      .describe('proxies in front of the API, whose X-Forwarded-For tells who asks'),
    openid: openidSchema.optional(),
  })
  .refine(({ openid, publicUrl }) => openid === undefined || publicUrl !== undefined, {
    message: 'expected publicUrl beside openid: the provider sends people back there',
    path: ['publicUrl'],
  })
  .describe('the HTTP API of `lifeboat server`; of several files the first counts');

export type ApiSettings = z.output<typeof apiSchema>;

export const serviceSchema = z
  .strictObject({
    selfBackup: z
      .union([selfBackupSchema, z.literal(false)])
      .meta({ title: 'settings, or false' })
      .optional()
      .describe(
        'backups of the state of the service itself, of which `lifeboat service recover` makes it anew; false for none',
      ),
    api: apiSchema.prefault({}),
  })
  .describe('the service that looks after this application');
