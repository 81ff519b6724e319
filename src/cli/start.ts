import type { Command } from 'commander';
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
  'workers',
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
    .option('--workers <number>', 'processes that serve (default: one for each core; 1 with --dev)')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .addHelpText('after', '\nEvery setting can also stand in a file (--config) or in STRONGROOM_* variables.')
    .action(async (_options: object, command: Command) => {
      const config = configOf(command, settings);
      const { serve } = await import('./serve.ts');
      await serve(config);
    });
}
