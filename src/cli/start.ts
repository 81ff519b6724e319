import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { productVersion } from '../service/version.ts';
import { openService } from '../service.ts';
import { print, printError, shellWord } from './output.ts';
import { configOf } from './settings.ts';

/** The flags of `start`, by the names of their settings. */
const settings = [
  'dev',
  'listen',
  'port',
  'publicPort',
  'localPort',
  'domain',
  'tlsCert',
  'tlsKey',
  'proxyAllow',
  'logLevel',
];

export function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('start the server')
    .option('--dev', 'the embedded default: loopback only, with a vault and identities to begin with')
    .option(
      '--listen <addresses>',
      'IP addresses to listen on, with commas (default: all; loopback with --dev)',
    )
    .option('--port <number>', 'HTTPS port (default: 8443)')
    .option('--public-port <number>', 'the port that clients see, where something forwards to ours')
    .option(
      '--local-port <number>',
      'port of the loopback listener: proxy and managed identity (default: off; 8081 with --dev)',
    )
    .option('--domain <name>', 'the domain of the server’s own names (default: strongroom.localhost)')
    .option('--tls-cert <file>', 'certificate chain, PEM, in place of the private authority’s')
    .option('--tls-key <file>', 'its private key, PEM')
    .option(
      '--proxy-allow <hosts>',
      'other hosts that the drop-in proxy tunnels to, with commas; *.NAME for all below',
    )
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .addHelpText('after', '\nEvery setting can also stand in a file (--config) or in STRONGROOM_* variables.')
    .action(async (_options: object, command: Command) => {
      const config = configOf(command, settings);
      const service = await openService(config);
      const starting = service.start();
      let stopping = false;
      const stop = (signal: NodeJS.Signals) => {
        if (stopping) return;
        stopping = true;
        printError(`strongroom: ${signal}, finishing what is under way`);
        // What was only half started could not be closed; a start that fails closes below.
        starting.then(
          () => service.close().catch(failed),
          () => undefined,
        );
      };
      for (const signal of stopSignals) process.on(signal, stop);
      let addresses: Addresses;
      try {
        addresses = await starting;
      } catch (error) {
        await service.close();
        throw explained(error, config);
      }
      if (!stopping) print(await banner(config, addresses, service.control));
    });
}

/** The terminal's hang-up too: a server without its terminal would be one that nobody can stop. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

function failed(error: unknown): void {
  printError(`strongroom: ${String(error)}`);
  process.exitCode = 1;
}

interface Addresses {
  readonly port: number;
  readonly localPort: number | undefined;
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
