/**
 * Proves that no private key of a certificate, no password of an issuer and no imported file stands in clear in any file
 * of the data folder, in what the server prints, in a backup blob, or in an answer that is not the secret itself, after
 * every operation on certificates has been used on them.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainFor } from '../support/certificate-clients.ts';
import { createIssuer, generateKey, keyWithChain, pemOf, pkcs8Of } from '../support/certificate-files.ts';
import { formsOfBytes, formsOfText, privateKeyHeads } from '../support/clear-forms.ts';
import { apiVersion, type Connection, connectVault, signIn } from '../support/cluster-client.ts';
import {
  type ServerProcess,
  startProcess,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
const password = randomBytes(18).toString('base64url');
const filePassword = randomBytes(18).toString('base64url');
/** Private numbers that passed through the server. */
const numbers: Buffer[] = [];
const replies: string[] = [];
const blobs: Buffer[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startProcess(folder.path, ['--log-level', 'debug']);
  const vault = connectVault(server, await signIn(server));
  await useCertificates(vault);
  vault.close();
});
afterAll(async () => {
  await server?.end('SIGKILL');
  await folder?.remove();
});

async function useCertificates(vault: Connection): Promise<void> {
  const send = async (status: number, method: string, path: string, body?: object) => {
    const reply = await vault.send(method, `${path}${apiVersion}`, body);
    const text = JSON.stringify(reply.json);
    expect([path, reply.status, reply.status === status ? '' : text]).toEqual([path, status, '']);
    // A secret's own value is for its reader; everything else must not have it.
    if (!path.startsWith('/secrets/')) replies.push(text);
    return reply.json;
  };
  const policy = (issuer: string, more: object = {}) => ({
    policy: {
      issuer: { name: issuer },
      key_props: { kty: 'EC' },
      secret_props: { contentType: 'application/x-pem-file' },
      x509_props: { subject: 'CN=secret' },
      ...more,
    },
  });
  const noteKey = async (name: string) => {
    const { value } = await send(200, 'GET', `/secrets/${name}`);
    const [, body] = /-----BEGIN PRIVATE KEY-----\n([^-]*)-----/.exec(value) ?? [];
    if (body === undefined) throw new Error(`there is no private key in ${name}`);
    numbers.push(Buffer.from(body, 'base64').subarray(36, 68));
  };
  await send(200, 'PUT', '/certificates/issuers/own', {
    provider: 'Strongroom',
    credentials: { account_id: 'self', pwd: password },
  });
  await send(200, 'PATCH', '/certificates/issuers/own', { org_details: { id: 'x' } });
  await send(200, 'GET', '/certificates/issuers/own');
  await send(202, 'POST', '/certificates/self/create', policy('Self'));
  await noteKey('self');
  // Not an authority: the order fails, and says so.
  await send(202, 'POST', '/certificates/refused/create', policy('own'));
  await send(200, 'GET', '/certificates/refused/pending');
  const issuer = await createIssuer();
  const { csr } = await send(202, 'POST', '/certificates/merged/create', policy('Unknown'));
  await send(201, 'POST', '/certificates/merged/pending/merge', { x5c: await chainFor(issuer, csr) });
  await noteKey('merged');
  await send(202, 'POST', '/certificates/cancelled/create', policy('Unknown'));
  await send(200, 'PATCH', '/certificates/cancelled/pending', { cancellation_requested: true });
  await send(200, 'DELETE', '/certificates/cancelled/pending');
  const { key, chain } = await keyWithChain(issuer, 'P-256');
  numbers.push(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'));
  const file = `${pem(pkcs8Of(key))}${chain.map(pemOf).join('')}`;
  await send(200, 'POST', '/certificates/imported/import', { value: file, pwd: filePassword });
  const stranger = generateKey('P-256').privateKey;
  numbers.push(Buffer.from(stranger.export({ format: 'jwk' }).d ?? '', 'base64url'));
  const wrong = `${pem(pkcs8Of(stranger))}${chain.map(pemOf).join('')}`;
  await send(400, 'POST', '/certificates/wrong/import', { value: wrong, pwd: filePassword });
  await send(
    202,
    'POST',
    '/certificates/kept/create',
    policy('Self', { key_props: { kty: 'RSA', exportable: false } }),
  );
  for (const name of ['self', 'imported', 'kept']) {
    await send(200, 'GET', `/certificates/${name}`);
    await send(200, 'GET', `/certificates/${name}/pending`.replace('imported/pending', 'imported'));
    const { value } = await send(200, 'POST', `/certificates/${name}/backup`);
    blobs.push(Buffer.from(value, 'base64url'));
    await send(200, 'DELETE', `/certificates/${name}`);
    await send(204, 'DELETE', `/deletedcertificates/${name}`);
    await send(200, 'POST', '/certificates/restore', { value });
  }
  await noteKey('imported');
  const { value } = await send(200, 'GET', '/secrets/kept');
  expect(value).not.toContain('PRIVATE');
}

function pem(pkcs8: Buffer): string {
  const lines = pkcs8.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

/** Everything that could hold any of them, by name. */
function places(): [string, Buffer][] {
  const files = readdirSync(folder.path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder.path, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  return [
    ...files.map((path): [string, Buffer] => [path, readFileSync(path)]),
    ['output', Buffer.from(server.stdout() + server.stderr())],
    ...replies.map((text): [string, Buffer] => ['reply', Buffer.from(text)]),
    ...blobs.map((blob): [string, Buffer] => ['blob', blob]),
  ];
}

const holding = (forms: readonly Buffer[]) =>
  places().flatMap(([name, content]) => (forms.some((form) => content.includes(form)) ? [name] : []));

test('the search finds what is there, and keys were seen', () => {
  expect(holding(formsOfText('merged')).map((name) => name.split('/').at(-1))).toEqual(
    expect.arrayContaining(['reply', expect.stringContaining('strongroom.db')]),
  );
  expect(numbers).toHaveLength(5);
  for (const number of numbers) expect(number).toHaveLength(32);
  // The one that was imported is the one that its secret shows.
  expect(numbers[4]?.equals(numbers[2] ?? Buffer.alloc(0))).toBe(true);
});

test('no private key stands in a file, in output, in a reply or in a backup', () => {
  expect(holding(numbers.flatMap(formsOfBytes))).toEqual([]);
  expect(holding(privateKeyHeads)).toEqual([]);
});

test('nor a password, of an issuer or of a file', () => {
  expect(holding([password, filePassword].flatMap(formsOfText))).toEqual([]);
});

test('nor after the server has ended', async () => {
  await server.end();
  expect(holding([...numbers.flatMap(formsOfBytes), ...privateKeyHeads])).toEqual([]);
  expect(holding([password, filePassword].flatMap(formsOfText))).toEqual([]);
});
