/** Finds the server that a client command is to use: the one that serves the data folder, or a throw-away one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { servingControl } from '../service/serving-control.ts';
import type { Control } from '../service.ts';
import type { ClientEnvironment } from './client-environment.ts';
import { configOf } from './settings.ts';

export interface Connection {
  readonly environment: ClientEnvironment & { readonly proxy: string };
  close(): Promise<void>;
}

/** Throws `StartRefused` when no server serves the folder or its loopback listener is off. */
export async function connectServing(command: Command): Promise<Connection> {
  const config = configOf(command);
  const control = await servingControl(config);
  if (control === undefined) {
    const { StartRefused } = await import('../service.ts');
    throw new StartRefused(
      `No server serves ${config.data}. Start one with \`strongroom start --dev\`, name its folder with --data, or use \`exec --ephemeral\`.`,
    );
  }
  return { environment: await environmentOf(control), close: async () => undefined };
}

/** Starts a server with a data folder of its own, which `close` removes. */
export async function connectEphemeral(): Promise<Connection> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const listen = ['127.0.0.1', '::1'];
    const flags = { data: folder, dev: true, listen, port: 0, localPort: 0, logLevel: 'warn' };
    const { openService } = await import('../service.ts');
    const service = await openService(loadConfig({ flags, environment: {} }));
    const close = async () => {
      await service.close();
      remove();
    };
    try {
      await service.start();
      return { environment: await environmentOf(service.control), close };
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    remove();
    throw error;
  }
}

async function environmentOf(control: Control): Promise<Connection['environment']> {
  const environment = (await control('client-environment', {})) as ClientEnvironment;
  const { proxy } = environment;
  if (proxy === undefined) {
    const { StartRefused } = await import('../service.ts');
    throw new StartRefused('The loopback listener of this server is off. Start it with --local-port 8081.');
  }
  return { ...environment, proxy };
}
