/** What `start` does: the server in one process, or one of the processes that serve together. Loads the server. */
import { type Config, processRole } from '../config.ts';
import { servingControl } from '../service/serving-control.ts';
import { productVersion } from '../service/version.ts';
import {
  type Addresses,
  onStop,
  openService,
  startSupervisor,
  startWriter,
  tellSupervisor,
} from '../service.ts';
import { print, printError, shellWord } from './output.ts';

/** Serves until a signal or the supervisor ends it, in the role that the supervisor has given to this process. */
export async function serve(config: Config): Promise<void> {
  const role = processRole();
  if (role === 'writer') await runWriter(config);
  else if (role !== 'whole') await runWorker(config, role.slot);
  else if (config.workers > 1) await runSupervisor(config);
  else await runWhole(config);
}

/** One process that does everything. */
async function runWhole(config: Config): Promise<void> {
  const service = await openService(config);
  const starting = service.start();
  const stopping = onSignals(() => {
    // What was only half started could not be closed; a start that fails closes below.
    starting.then(
      () => service.close().catch(failed),
      () => undefined,
    );
  });
  let addresses: Addresses;
  try {
    addresses = await starting;
  } catch (error) {
    await service.close();
    throw explained(error, config);
  }
  if (!stopping()) print(await banner(config, addresses, service.control));
}

/** Processes that others do the serving for. */
async function runSupervisor(config: Config): Promise<void> {
  const starting = startSupervisor(config);
  const stopping = onSignals(() => {
    starting.then(
      (supervisor) => supervisor.stop().then(() => process.exit(), failed),
      () => undefined,
    );
  });
  const supervisor = await starting;
  const control = await servingControl(config);
  if (!stopping() && control !== undefined) print(await banner(config, supervisor.addresses, control));
}

/** Stops on the supervisor's word, or for itself on SIGTERM; a terminal's signals come to the supervisor too. */
async function runWorker(config: Config, slot: number): Promise<void> {
  ignoreSignals(['SIGINT', 'SIGHUP']);
  const stopping = stoppingAtAnyTime(['SIGTERM']);
  const worker = { slot, admitted: () => tellSupervisor({ type: 'admitted' }) };
  try {
    const service = await openService(config, { worker });
    const addresses = await service.start();
    stopping.closes(() => service.close());
    tellSupervisor({ type: 'serving', ...addresses });
  } catch (error) {
    endFailed(explained(error, config));
  }
}

/** Outlives the workers, whatever signals the terminal or the service manager sends to all at once. */
async function runWriter(config: Config): Promise<void> {
  ignoreSignals(['SIGINT', 'SIGHUP', 'SIGTERM']);
  const stopping = stoppingAtAnyTime([]);
  try {
    const writer = await startWriter(config);
    stopping.closes(() => writer.close());
  } catch (error) {
    endFailed(error);
  }
}

/**
 * Ends the process when it is told to. Before there is something to close it ends at once: a start that is cut off
 * leaves nothing behind that a crash would not, and may be waiting for what never comes.
 */
function stoppingAtAnyTime(signals: readonly NodeJS.Signals[]): { closes(close: () => Promise<void>): void } {
  let close: () => Promise<void> = async () => undefined;
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    close()
      .catch(failed)
      .finally(() => process.exit());
  };
  onStop(stop);
  for (const signal of signals) process.on(signal, stop);
  return {
    closes(found) {
      close = found;
    },
  };
}

function endFailed(error: unknown): void {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  tellSupervisor({ type: 'failed', name, message });
  process.exitCode = 1;
  process.disconnect?.();
}

function ignoreSignals(signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) process.on(signal, () => undefined);
}

/** Calls `stop` at the first signal to stop; answers a function that tells whether there was one. */
function onSignals(stop: () => void): () => boolean {
  let stopping = false;
  const act = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    printError(`strongroom: ${signal}, finishing what is under way`);
    stop();
  };
  for (const signal of stopSignals) process.on(signal, act);
  return () => stopping;
}

/** The terminal's hang-up too: a server without its terminal would be one that nobody can stop. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

function failed(error: unknown): void {
  printError(`strongroom: ${String(error)}`);
  process.exitCode = 1;
}

type Control = (operation: string, input: object) => Promise<unknown>;

async function banner(config: Config, addresses: Addresses, control: Control): Promise<string> {
  const { vaults } = (await control('vault list', {})) as { vaults: { name: string; vaultUri: string }[] };
  const [first] = vaults;
  const name = first?.name ?? 'NAME';
  const folder = config.data === `${process.cwd()}/.strongroom` ? '' : ` --data ${shellWord(config.data)}`;
  const checkout = isCheckout();
  const command = checkout ? 'bin/strongroom' : 'strongroom';
  const throughExec = addresses.localPort !== undefined;
  const lines = [
    `Strongroom ${productVersion()} serves at port ${addresses.port} (HTTPS), data in ${config.data}`,
    '',
    ...vaults
      .slice(0, 5)
      .flatMap((vault) => [
        `  vault    ${vault.vaultUri}`,
        ...(throughExec ? [`           https://${vault.name}.vault.azure.net/  through exec`] : []),
      ]),
  ];
  if (vaults.length > 5) lines.push(`           and ${vaults.length - 5} more`);
  if (vaults.length === 0) lines.push(`  There is no vault yet. Make one:  ${command} vault create NAME`);
  if (addresses.localPort !== undefined) {
    lines.push(
      `  local    http://127.0.0.1:${addresses.localPort}/  proxy and managed identity, this machine only`,
    );
    lines.push('');
    lines.push('Run Azure code unchanged, in a second terminal:');
    lines.push('');
    lines.push(`  ${command} exec${folder} -- node ${checkout ? 'examples/secrets.mjs' : 'app.mjs'}`);
    lines.push(
      `  ${command} exec${folder} -- curl 'https://${name}.vault.azure.net/secrets?api-version=2025-07-01'`,
    );
    lines.push(`  eval "$(${command} env${folder})"      # the same for a whole shell`);
  }
  lines.push('', 'Stop with Ctrl-C.');
  return lines.join('\n');
}

/** Whether this runs from source, and not as the installed package. */
function isCheckout(): boolean {
  return import.meta.filename.endsWith('.ts');
}

/** The usual reason in words for people. */
function explained(error: unknown, config: Config): unknown {
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return error;
  const why = code === 'EADDRINUSE' ? 'is in use' : 'may not be used by this account';
  const flag = port === config.port ? '--port' : '--local-port';
  return Object.assign(new Error(`Port ${port} on ${address} ${why}. Choose another with ${flag}.`), {
    name: 'StartRefused',
  });
}
