// Ends a server of ours and removes its folder when this process is gone, however it went: a kill leaves no time to do it
// here. A shell holds the other end of a pipe; the kernel closes ours with us, and nothing else does. A parent's death
// signal (Linux alone) would not reach a server that runs as another user.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Watcher extends AsyncDisposable {
  /** From now on this process is ended together with us; the one told of before is no longer. */
  guard(child: ChildProcess, signalName: 'QUIT' | 'TERM' | 'KILL'): void;
}

const script = `
pid=
while read -r word signal value; do
  case $word in
    guard) stop=$signal pid=$value ;;
    forget) [ "$pid" = "$signal" ] && pid= ;;
    done) exit 0 ;;
  esac
done
if [ -n "$pid" ]; then
  kill -s "$stop" "$pid"
  tries=0
  while kill -0 "$pid" && [ "$tries" -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -s KILL "$pid"
fi
rm -rf -- "$1" && exit 0
chmod -R u+rwx -- "$1"
rm -rf -- "$1"
`;

/** Where there is no shell nothing is watched: the work itself needs none. */
export function watch(folder: string): Watcher {
  const shell = spawn('/bin/sh', ['-c', script, 'lifeboat-watcher', folder], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C goes to all of a terminal's group, and it must outlive us.
  });
  shell.unref();
  const ended = once(shell, 'exit').catch(() => undefined);
  const { stdin } = shell;
  stdin.on('error', () => undefined);
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  const tell = (line: string): void => {
    if (stdin.writable) stdin.write(`${line}\n`);
  };
  return {
    guard(child, signalName) {
      const { pid } = child;
      if (pid === undefined) return;
      tell(`guard ${signalName} ${pid}`);
      // Its number may soon be another's.
      child.once('exit', () => tell(`forget ${pid}`));
    },
    async [Symbol.asyncDispose]() {
      if (shell.pid === undefined) return;
      shell.ref();
      stdin.end('done\n');
      await ended;
    },
  };
}
