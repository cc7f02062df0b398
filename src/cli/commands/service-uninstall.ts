// `service uninstall`: stops the server and takes its unit away. State, repositories and lifeboat.yaml stay.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { AppError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import { requireConsent } from '../confirmation.ts';
import { switchOption } from '../option.ts';
import { unitNameOf, unitPath } from '../systemd-unit.ts';
import { systemctl } from './service-install.ts';

export const serviceUninstallCommand = defineCommand({
  summary: 'Stop the server that systemd keeps running, and remove its unit',
  details: 'Nothing backs the application up by itself afterwards. Its state, repositories and lifeboat.yaml stay.',
  examples: ['sudo lifeboat service uninstall', 'lifeboat service uninstall --user --yes'],
  arguments: {},
  options: {
    isOfUser: switchOption('--user', 'that of your own account'),
    isConfirmed: switchOption('--yes', 'without asking'),
    isDryRun: switchOption('--dry-run', 'show what would be removed, and do nothing'),
  },
  async run(context, { isOfUser, isConfirmed, isDryRun }) {
    const { application } = await requireConfiguration(context);
    const name = unitNameOf(application.name);
    const path = unitPath(application.name, isOfUser ? context.homeFolder : undefined);
    if (!existsSync(path)) {
      throw new AppError('NOT_FOUND', `there is no ${path}`, {
        hint: isOfUser ? 'Leave --user out for that of the system.' : 'Give --user for that of your own account.',
      });
    }
    if (!isDryRun) {
      await requireConsent(context, `stop the server and remove ${path}`, isConfirmed);
      await systemctl(isOfUser, 'disable', '--now', name);
      await rm(path);
      await systemctl(isOfUser, 'daemon-reload');
    }
    return { path, isDryRun };
  },
  render: ({ path, isDryRun }) =>
    isDryRun ? `would stop the server and remove ${path}` : `stopped, and removed ${path}`,
});
