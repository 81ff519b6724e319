/**
 * Proves that TLS servers which we did not write serve with what is downloaded from a vault, as it is: nginx and OpenSSL
 * with both content types, RSA and EC, signed by themselves or by an authority of the vault with an intermediate; and
 * that curl, OpenSSL and Java, which trust the root alone, find them good.
 */
import { X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { optional } from '../support/optional.ts';
import {
  type Finished,
  findTool,
  launch,
  type Running,
  run,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

const tools = {
  openssl: findTool('openssl'),
  curl: findTool('curl'),
  nginx: findTool('nginx'),
  keytool: findTool('keytool'),
};
const hasOpenssl = optional('TLS by OpenSSL', tools.openssl !== undefined);
const hasNginx = optional('TLS by nginx', tools.nginx !== undefined && tools.curl !== undefined);
const hasKeytool = optional('PFX files in Java', tools.keytool !== undefined);

let server: TestServer;
let call: VaultCaller;
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startTestServer();
  call = vaultCaller(server, await tokenFor(server));
  await made('root', authority('CN=Root', 'Self'));
  await issuer('by-root', 'root');
  await made('intermediate', authority('CN=Intermediate', 'by-root', 0));
  await issuer('by-intermediate', 'intermediate');
  await made('stranger', authority('CN=Stranger', 'Self'));
});
afterAll(async () => {
  await server.close();
  await folder.remove();
});

function authority(subject: string, by: string, pathLength?: number): object {
  return {
    key_props: { kty: 'EC', crv: 'P-256', exportable: false },
    x509_props: {
      ...{ subject, key_usage: ['keyCertSign', 'cRLSign'], ekus: [], validity_months: 24 },
      basic_constraints: { ca: true, path_len_constraint: pathLength },
    },
    issuer: { name: by },
  };
}

async function issuer(name: string, certificate: string): Promise<void> {
  const body = { provider: 'Strongroom', credentials: { account_id: certificate } };
  expect((await call('PUT', `/certificates/issuers/${name}`, body)).status).toBe(200);
}

async function made(name: string, policy: object): Promise<void> {
  expect((await call('POST', `/certificates/${name}/create`, { policy })).status).toBe(202);
  expect((await call('GET', `/certificates/${name}/pending`)).json).toMatchObject({ status: 'completed' });
}

async function certificate(name: string): Promise<string> {
  const { json } = await call('GET', `/certificates/${name}`);
  return new X509Certificate(Buffer.from(json.cer, 'base64')).toString();
}

/** A certificate for localhost, downloaded: its secret as a file, the root that it is to be verified by, a folder. */
async function downloaded(of: { kty: string; contentType: string; by: string }) {
  const name = `${of.kty}-${of.contentType.slice(-3)}-${of.by}`.toLowerCase();
  await made(name, {
    key_props: { kty: of.kty },
    secret_props: { contentType: of.contentType },
    x509_props: { subject: 'CN=localhost', sans: { dns_names: ['localhost'] } },
    issuer: { name: of.by },
  });
  const { json: secret } = await call('GET', `/secrets/${name}`);
  expect(secret.contentType).toBe(of.contentType);
  const isPfx = of.contentType === 'application/x-pkcs12';
  const path = join(folder.path, name);
  await mkdir(path);
  const file = join(path, isPfx ? 'secret.pfx' : 'secret.pem');
  await writeFile(file, Buffer.from(secret.value, isPfx ? 'base64' : 'utf8'));
  const root = join(path, 'root.pem');
  await writeFile(root, await certificate(of.by === 'Self' ? name : 'root'));
  const stranger = join(path, 'stranger.pem');
  await writeFile(stranger, await certificate('stranger'));
  return { file, root, stranger, path, isPfx, links: of.by === 'Self' ? 1 : 3 };
}

type Downloaded = Awaited<ReturnType<typeof downloaded>>;

/** OpenSSL's and nginx's servers take PEM; OpenSSL's own command makes it of a PFX. */
async function pemOf({ file, path, isPfx }: Downloaded): Promise<string> {
  if (!isPfx) return file;
  const pem = join(path, 'secret.pem');
  const ran = await run('openssl', ['pkcs12', '-in', file, '-passin', 'pass:', '-nodes', '-out', pem]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return pem;
}

async function ended({ child, finished }: Running): Promise<void> {
  child.kill();
  await finished;
}

const kinds = ['RSA', 'EC'].flatMap((kty) =>
  ['application/x-pkcs12', 'application/x-pem-file'].flatMap((contentType) =>
    ['Self', 'by-intermediate'].map((by) => ({ kty, contentType, by })),
  ),
);

describe.each(kinds)('$kty, $contentType, $by', (of) => {
  let got: Downloaded;
  beforeAll(async () => {
    got = await downloaded(of);
  });

  test.skipIf(!hasOpenssl)('a server and a client of OpenSSL', async () => {
    const pem = await pemOf(got);
    const material = ['-cert', pem, '-key', pem, '-cert_chain', pem];
    const listening = launch('openssl', ['s_server', '-accept', '127.0.0.1:0', ...material, '-www']);
    try {
      const [, address = ''] = await listening.seen(/ACCEPT (127\.0\.0\.1:\d+)/);
      const asked = (root: string): Promise<Finished> => {
        const checks = ['-verify_return_error', '-verify_hostname', 'localhost', '-servername', 'localhost'];
        return run('openssl', ['s_client', '-connect', address, '-CAfile', root, '-no-CApath', ...checks]);
      };
      const good = await asked(got.root);
      expect(good, good.stderr).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('return code: 0 (ok)'),
      });
      expect(good.stdout).toContain('Verified peername: localhost');
      expect((await asked(got.stranger)).code).toBe(1);
    } finally {
      await ended(listening);
    }
  });

  test.skipIf(!hasNginx || !hasOpenssl)('nginx, and curl', async () => {
    const socket = join(got.path, 'nginx');
    const config = join(got.path, 'nginx.conf');
    await writeFile(config, nginxConfig({ path: got.path, socket, pem: await pemOf(got) }));
    const listening = launch(tools.nginx ?? '', ['-p', got.path, '-e', 'stderr', '-c', config]);
    try {
      await listening.seen(/start worker process \d+/);
      const asked = (root: string) =>
        run('curl', ['-sS', '--unix-socket', socket, '--cacert', root, 'https://localhost/']);
      expect(await asked(got.root)).toMatchObject({ code: 0, stdout: 'served', stderr: '' });
      expect(await asked(got.stranger)).toMatchObject({ code: 60 });
    } finally {
      await ended(listening);
    }
  });

  if (of.contentType !== 'application/x-pkcs12') return;
  test.skipIf(!hasOpenssl)('OpenSSL reads the PFX', async () => {
    const ran = await run('openssl', ['pkcs12', '-info', '-in', got.file, '-passin', 'pass:', '-nodes']);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(ran.stdout.match(/BEGIN CERTIFICATE/g)).toHaveLength(got.links);
    expect(ran.stdout.match(/BEGIN PRIVATE KEY/g)).toHaveLength(1);
    expect(ran.stderr).toMatch(/^MAC: sha1, Iteration 1$/m);
    expect(ran.stderr.match(/pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 1$/gm)).toHaveLength(2);
    const wrong = await run('openssl', ['pkcs12', '-in', got.file, '-passin', 'pass:wrong', '-noout']);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('invalid password') });
  });

  test.skipIf(!hasKeytool)('Java lists the PFX', async () => {
    const english = ['-J-Duser.language=en', '-J-Duser.country=US'];
    const how = ['-keystore', got.file, '-storetype', 'PKCS12', '-storepass', ''];
    const ran = await run(tools.keytool ?? '', [...english, '-list', '-v', ...how]);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('Your keystore contains 1 entry');
    expect(ran.stdout).toContain('Entry type: PrivateKeyEntry');
    expect(ran.stdout).toContain(`Certificate chain length: ${got.links}`);
  });
});

function nginxConfig({ path, socket, pem }: { path: string; socket: string; pem: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
pid ${path}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  ${temporary.map((kind) => `${kind}_temp_path ${path}/${kind};`).join('\n  ')}
  server {
    listen unix:${socket} ssl;
    ssl_certificate ${pem};
    ssl_certificate_key ${pem};
    location / { return 200 served; }
  }
}
`;
}
