/** Builds what certificates from ACME authorities need: a provider for each directory, and where challenges are answered. */
import { readFileSync } from 'node:fs';
import { createHttp01Handler } from '../acme/http01.ts';
import { createAcmeProvider } from '../acme/provider.ts';
import { type DnsPublisher, dns01Solver, http01Solver } from '../acme/solvers.ts';
import { type Listener, listenHttp } from '../api/listener.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import type { IssuerProvider } from '../domain/certificates/issuer-provider.ts';
import { createChallengeBoard } from '../storage/acme-challenges.ts';
import { type Data, StartRefused, type Tools } from './data.ts';

type AcmeSettings = Tools['config']['acme'];

/** The providers by the name that issuers say, in lower case. Throws `StartRefused` for a file that cannot be used. */
export function buildAcmeProviders(tools: Tools, { db }: Data): ReadonlyMap<string, IssuerProvider> {
  const { clock, log } = tools;
  const { acme } = tools.config;
  const solver =
    acme.challenge === 'http-01'
      ? http01Solver(clock, createChallengeBoard(db))
      : dns01Solver(publisherOf(tools, acme.dns01), acme.dns01?.wait ?? 0);
  return new Map(
    Object.entries(acme.directories).map(([name, { url, ca, origins }]) => [
      name.toLowerCase(),
      createAcmeProvider({ clock, log, solver }, { name, url, ca: readPem(ca), origins }),
    ]),
  );
}

/** Listens for authorities that check http-01 challenges, where the settings say so; one process of a server does. */
export function listenForChallenges(tools: Tools, { db }: Data): Promise<Listener> | undefined {
  const { clock, log, config } = tools;
  const { http01 } = config.acme;
  if (http01 === undefined) return undefined;
  const handler = createHttp01Handler({ board: createChallengeBoard(db), clock, log });
  return listenHttp(handler, () => undefined, {
    addresses: http01.listen ?? config.listen,
    port: http01.port,
  });
}

/** Loaded when the first record is published: most servers publish none. */
function publisherOf(tools: Tools, settings: AcmeSettings['dns01']): DnsPublisher {
  const { clock, random } = tools;
  const { rfc2136, webhook } = settings ?? {};
  if (rfc2136 !== undefined) {
    const { server, zone, keyName: name, keyAlgorithm: algorithm } = rfc2136;
    const secret = readTsigSecret(rfc2136.keySecretFile);
    return whenUsed(async () => {
      const { createDnsUpdater } = await import('../acme/dns/update.ts');
      return createDnsUpdater({ clock, random }, { server, zone, key: { name, algorithm, secret } });
    });
  }
  if (webhook !== undefined) {
    const token = SecretBytes.fromText(readText(webhook.tokenFile, 'acme.dns01.webhook.tokenFile'));
    const ca = readPem(webhook.ca);
    return whenUsed(async () => {
      const { createDnsWebhook } = await import('../acme/dns/webhook.ts');
      return createDnsWebhook(clock, { url: webhook.url, token, ca });
    });
  }
  throw new StartRefused("The setting 'acme.dns01' does not say how records are published.");
}

function whenUsed(open: () => Promise<DnsPublisher>): DnsPublisher {
  return {
    present: async (record) => (await open()).present(record),
    remove: async (record) => (await open()).remove(record),
  };
}

/** The whole file but for space around it. */
function readText(path: string, setting: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new StartRefused(`The setting '${setting}' names a file that cannot be read: ${path}`, { cause });
  }
  // A line end inside would end the header that it goes into.
  if (!/^[\x21-\x7e]{1,4096}$/.test(text)) {
    throw new StartRefused(`The file ${path} of the setting '${setting}' does not hold one word.`);
  }
  return text;
}

function readTsigSecret(path: string): SecretBytes {
  const setting = 'acme.dns01.rfc2136.keySecretFile';
  const text = readText(path, setting);
  const bytes = Buffer.from(text, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || bytes.length < 16) {
    throw new StartRefused(
      `The file ${path} of the setting '${setting}' does not hold 16 bytes or more in base64.`,
    );
  }
  return new SecretBytes(bytes);
}

function readPem(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new StartRefused(`A setting 'ca' of 'acme' names a file that cannot be read: ${path}`, { cause });
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new StartRefused(`The file ${path} holds no PEM certificate.`);
  return pem;
}
