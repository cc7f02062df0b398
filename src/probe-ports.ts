// Part of the composition root: how probes ask the components of the configuration.
import { AppError } from './base/errors.ts';
import { programFolders, type Environment } from './config/environment.ts';
import type { Configuration } from './config/load.ts';
import { postgresOptions, redisAddress } from './config/server-options.ts';
import type { Component } from './model/component.ts';
import type { ProbePorts } from './monitoring/probes/look.ts';

export function probePorts(environment: Environment, loaded: () => Promise<Configuration | undefined>): ProbePorts {
  return {
    programFolders: programFolders(environment),
    async queryPostgres(name, { sql, database }, signal) {
      const options = postgresOptions(await componentOf('postgres', name, loaded), environment);
      const { connect } = await import('./sources/postgres/connection.ts');
      const { host, port, user, password, ssl, databases } = options;
      const address = { host, port, user, password, ssl };
      await using connection = await connect(address, database ?? databases[0] ?? 'postgres', signal);
      await connection.query('SET default_transaction_read_only = on');
      return await connection.query<Record<string, unknown>>(sql);
    },
    async redisInfo(name, signal) {
      const address = redisAddress(await componentOf('redis', name, loaded));
      const { connectRedis } = await import('./sources/redis/connection.ts');
      await using connection = await connectRedis(address, signal);
      return await connection.text('INFO');
    },
  };
}

async function componentOf<Type extends Component['type']>(
  type: Type,
  name: string,
  loaded: () => Promise<Configuration | undefined>,
): Promise<Extract<Component, { type: Type }>> {
  const configuration = await loaded();
  const component = configuration?.application.components.find((one) => one.name === name);
  const reason = configuration?.unreachable.get(name);
  if (reason !== undefined) throw reason;
  if (component?.type === type) return component as Extract<Component, { type: Type }>;
  throw new AppError('NOT_FOUND', `there is no ${type} component '${name}'`, { hint: 'Name one of lifeboat.yaml.' });
}
