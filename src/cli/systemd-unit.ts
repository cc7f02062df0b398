// The unit by which systemd keeps the server running: its text, and where it belongs. Forms by systemd.service(5) and systemd.exec(5).
import { join } from 'node:path';
import { errorKinds } from '../base/errors.ts';

export interface UnitWish {
  readonly application: string;
  /** Started with it: the program that is Node, and what it runs. */
  readonly program: readonly string[];
  readonly configurationPath: string;
  readonly workingFolder: string;
  /** Of the server; systemd sets no home folder for units of the system. */
  readonly stateHome: string;
  /** For passwords that lifeboat.yaml takes from variables; need not be there. */
  readonly environmentFile: string;
  /** For one user, without rights of the system. */
  readonly isOfUser: boolean;
}

export const unitNameOf = (application: string): string => `lifeboat-${application}.service`;

/** The folder of units: that of the system, or of one user. */
export function unitPath(application: string, userHome: string | undefined): string {
  const folder = userHome === undefined ? '/etc/systemd/system' : join(userHome, '.config/systemd/user');
  return join(folder, unitNameOf(application));
}

export function environmentFileOf(application: string, userHome: string | undefined): string {
  const folder = userHome === undefined ? '/etc/lifeboat' : join(userHome, '.config/lifeboat');
  return join(folder, `${application}.env`);
}

export function unitText(wish: UnitWish): string {
  const { application, program, configurationPath, workingFolder, stateHome, environmentFile, isOfUser } = wish;
  const command = [...program, 'server', configurationPath].map(commandWord).join(' ');
  return `[Unit]
Description=Lifeboat: backups and recovery of ${plain(application)}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart=${command}
WorkingDirectory=${plain(workingFolder)}
Environment=${commandWord(`XDG_STATE_HOME=${stateHome}`)}
EnvironmentFile=-${plain(environmentFile)}
Restart=always
RestartSec=5
# Its state was recovered elsewhere: it may not act any more.
RestartPreventExitStatus=${errorKinds.SERVICE_REPLACED.exitCode}
# Jobs end by themselves when the server does, where nothing is half done.
KillMode=mixed
TimeoutStopSec=45
UMask=0077
# Beside what is protected, not before it; jobs lower their own priority.
IOSchedulingClass=best-effort
IOSchedulingPriority=7

[Install]
WantedBy=${isOfUser ? 'default.target' : 'multi-user.target'}
`;
}

/** A value without a meaning of its own: % begins a specifier, and a line ends it. */
const plain = (text: string): string => text.replaceAll('%', '%%').replaceAll(/[\n\r]/g, ' ');

/** One word of a command line: $ is a variable there, and quotes keep what has spaces together. */
function commandWord(text: string): string {
  const escaped = plain(text)
    .replaceAll('\\', '\\\\')
    .replaceAll('"', String.raw`\"`)
    .replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}
