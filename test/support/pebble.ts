/** A real ACME authority: Pebble on ports of its own, with a TLS certificate from an authority of the test's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createAuthority, issueLeaf } from '../../src/crypto/x509/authority.ts';
import { freePort } from './free-port.ts';
import { findTool, type TemporaryFolder, temporaryFolder } from './process.ts';

const pebbleBinary = findTool('pebble');
export const hasPebble = pebbleBinary !== undefined;

export interface PebbleOptions {
  /** Where it looks for the answers to http-01. */
  readonly httpPort: number;
  /** The DNS server that it asks, on this machine. */
  readonly dnsPort: number;
  /** Key ids and HMAC keys; an account needs one of them then. */
  readonly externalKeys?: Readonly<Record<string, string>>;
  /** Seconds that its certificates are valid from when they are issued, by the machine's clock; default: five years. */
  readonly validity?: number;
}

export interface Pebble {
  readonly directory: string;
  /** PEM: who its TLS certificate is from. */
  readonly ca: string;
  /** PEM of the root that its certificates lead to. */
  root(): Promise<string>;
  /** All that it has logged so far, line by line. */
  readonly said: readonly string[];
  stop(): Promise<void>;
}

export interface TlsIdentity {
  readonly ca: string;
  readonly chain: string;
  readonly key: string;
}

/** A certificate for this machine, and the authority that it is from. */
export async function localTlsIdentity(): Promise<TlsIdentity> {
  const now = Date.now();
  const authority = await createAuthority({
    commonName: 'test servers',
    permittedDnsNames: ['localhost'],
    permittedIpRanges: ['127.0.0.0/8'],
    validityDays: 2,
    now,
  });
  const leaf = await issueLeaf(authority, {
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    validityDays: 1,
    now,
  });
  return { ca: authority.certificatePem, chain: leaf.chainPem, key: leaf.privateKeyPem.exposeText() };
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const folder = await temporaryFolder();
  const tls = await localTlsIdentity();
  const [port, management] = [await freePort(), await freePort()];
  const config = await writeConfig(folder, tls, { ...options, port, management });
  const child = spawn(
    pebbleBinary ?? '',
    ['-strict', '-config', config, '-dnsserver', `127.0.0.1:${options.dnsPort}`],
    {
      env: {
        PATH: process.env.PATH,
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_AUTHZREUSE: '0',
        // In percent. One request in three million meets five in a row, where a request is given up.
        PEBBLE_WFE_NONCEREJECT: '5',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const stop = async () => {
    await ended(child);
    await folder.remove();
  };
  const said: string[] = [];
  try {
    await saidToListen(child, said);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    ca: tls.ca,
    root: () => fetchText(`https://127.0.0.1:${management}/roots/0`, tls.ca),
    said,
    stop,
  };
}

async function writeConfig(
  folder: TemporaryFolder,
  tls: TlsIdentity,
  options: PebbleOptions & { port: number; management: number },
): Promise<string> {
  const path = (name: string) => join(folder.path, name);
  await writeFile(path('chain.pem'), tls.chain);
  await writeFile(path('key.pem'), tls.key);
  const pebble = {
    listenAddress: `127.0.0.1:${options.port}`,
    managementListenAddress: `127.0.0.1:${options.management}`,
    certificate: path('chain.pem'),
    privateKey: path('key.pem'),
    httpPort: options.httpPort,
    tlsPort: 1,
    ocspResponderURL: '',
    externalAccountBindingRequired: options.externalKeys !== undefined,
    externalAccountMACKeys: options.externalKeys ?? {},
    ...(options.validity === undefined ? {} : { certificateValidityPeriod: options.validity }),
  };
  await writeFile(path('config.json'), JSON.stringify({ pebble }));
  return path('config.json');
}

/** Resolves when it says that it listens; its output is read on, so that it can always write. */
function saidToListen(child: ChildProcess, said: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        if (line.includes('ACME directory available at')) resolve();
      });
    }
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`pebble ended:\n${said.join('\n')}`)));
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

export function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { ca, agent: false }, (message) => {
      let text = '';
      message.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      message.on('end', () => resolve(text)).on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}
