/**
 * Proves that what `exec` and `env` set reaches programs in other languages: curl, Python, Go and Java make their calls;
 * .NET and git are given the variables that they read, and Java opens the trust store.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { optional } from '../support/optional.ts';
import {
  checkout,
  findTool,
  run,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startProcess(folder.path);
});
afterAll(async () => {
  await server.end();
  await folder.remove();
});

async function variables(...options: string[]): Promise<Record<string, string | null>> {
  const { code, stdout } = await strongroom(['env', '--json', '--data', folder.path, ...options]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, string | null>;
}

test('curl gets a token from the login host and a secret from the vault, both by Azure’s names', async ({
  skip,
}) => {
  if (!optional('curl through exec', findTool('curl') !== undefined)) skip();
  const script = `
    set -e
    answer=$(curl -sS --data-urlencode "client_id=$AZURE_CLIENT_ID" \\
      --data-urlencode "client_secret=$AZURE_CLIENT_SECRET" -d grant_type=client_credentials \\
      --data-urlencode scope=https://vault.azure.net/.default \\
      "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token")
    token=$(printf %s "$answer" | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
    vault=https://dev.vault.azure.net
    curl -sS -f -o /dev/null -X PUT -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \\
      -d '{"value":"from curl"}' "$vault/secrets/by-curl?api-version=7.4"
    curl -sS -f -H "Authorization: Bearer $token" "$vault/secrets/by-curl?api-version=2025-07-01"
    curl -sS -o /dev/null -w '\\n%{http_code}\\n' "$vault/secrets/by-curl?api-version=7.4"`;
  const ran = await strongroom(['exec', '--data', folder.path, '--', 'sh', '-c', script]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const [body, status] = ran.stdout.trim().split('\n');
  expect(JSON.parse(body ?? '')).toMatchObject({ value: 'from curl' });
  expect(status).toBe('401');
});

test('the proxy that exec names leads nowhere but to this server', async ({ skip }) => {
  if (!optional('curl through exec', findTool('curl') !== undefined)) skip();
  const args = ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_connect}', 'https://example.org/'];
  const ran = await strongroom(['exec', '--data', folder.path, '--', ...args]);
  expect(ran).toMatchObject({ code: 56, stdout: '403' });
});

/** A Python with Azure's libraries: one that is named, the checkout's own, or the machine's. */
async function findPython(): Promise<string | undefined> {
  const named = process.env.STRONGROOM_PYTHON;
  const own = join(checkout, '.venv', 'bin', 'python');
  for (const python of [named, own, findTool('python3')]) {
    if (python === undefined || !existsSync(python)) continue;
    const { code } = await run(python, [
      '-c',
      'import azure.keyvault.secrets, azure.keyvault.keys, azure.keyvault.certificates, azure.identity',
    ]);
    if (code === 0) return python;
  }
  return undefined;
}

/** By client secret and as the managed identity. */
const identities = [[], ['--managed-identity']];

test.for(['vault_secrets.py', 'vault_keys.py', 'vault_certificates.py'])(
  'the Python libraries work, by client secret and as the managed identity: %s',
  async (name, { skip }) => {
    const python = await findPython();
    if (!optional('Python client through exec', python !== undefined) || python === undefined) return skip();
    for (const identity of identities) {
      const args = ['exec', '--data', folder.path, ...identity, '--'];
      const ran = await strongroom([...args, python, join(import.meta.dirname, 'programs', name)]);
      expect(ran).toMatchObject({ code: 0, stdout: 'done\n', stderr: '' });
    }
  },
);

/** Programs that `.ci/run` builds beforehand, each named by a variable that holds its command line. */
test.for([
  ['Go', 'secrets', 'STRONGROOM_GO_CLIENT'],
  ['Go', 'keys', 'STRONGROOM_GO_CLIENT'],
  ['Go', 'certificates', 'STRONGROOM_GO_CLIENT'],
  ['Java', 'secrets', 'STRONGROOM_JAVA_CLIENT'],
  ['Java', 'keys', 'STRONGROOM_JAVA_CLIENT'],
  ['Java', 'certificates', 'STRONGROOM_JAVA_CLIENT'],
])(
  'the %s libraries for %s work, by client secret and as the managed identity',
  async ([language = '', noun = '', variable = ''], { skip }) => {
    const words = process.env[variable]?.split(' ') ?? [];
    if (!optional(`${language} client through exec`, words.length > 0, `${variable} names no program`))
      skip();
    for (const identity of identities) {
      const ran = await strongroom(['exec', '--data', folder.path, ...identity, '--', ...words, noun]);
      expect(ran).toMatchObject({ code: 0, stdout: 'done\n' });
    }
  },
);

test('every ecosystem is given the proxy, the authority and the identity in its own variables', async () => {
  const set = await variables();
  const proxy = `http://127.0.0.1:${server.localPort}`;
  expect(set).toMatchObject({
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    NO_PROXY: '127.0.0.1,::1',
    NODE_EXTRA_CA_CERTS: join(folder.path, 'ca.pem'),
    SSL_CERT_FILE: join(folder.path, 'ca-bundle.pem'),
    REQUESTS_CA_BUNDLE: join(folder.path, 'ca-bundle.pem'),
    CURL_CA_BUNDLE: join(folder.path, 'ca-bundle.pem'),
    GIT_SSL_CAINFO: join(folder.path, 'ca-bundle.pem'),
    AZURE_AUTHORITY_HOST: null,
    IDENTITY_ENDPOINT: null,
    IDENTITY_HEADER: null,
    AZURE_CONFIG_DIR: join(folder.path, 'azure'),
  });
  for (const name of ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET', 'AZURE_SUBSCRIPTION_ID']) {
    expect(set[name]).toMatch(/^\S{30,}$/);
  }
  for (const name of ['TENANT_ID', 'CLIENT_ID', 'CLIENT_SECRET', 'SUBSCRIPTION_ID'])
    expect(set[`ARM_${name}`]).toBe(set[`AZURE_${name}`]);
  const java = set.JAVA_TOOL_OPTIONS?.split(' ');
  expect(java).toContain(`-Dhttps.proxyPort=${server.localPort}`);
  expect(java).toContain(`-Djavax.net.ssl.trustStore=${join(folder.path, 'ca.p12')}`);

  const authority = new X509Certificate(readFileSync(join(folder.path, 'ca.pem')));
  expect(authority.ca).toBe(true);
  // The bundle stands in for a client's own roots, so that it must hold those too.
  const bundle = readFileSync(join(folder.path, 'ca-bundle.pem'), 'utf8');
  expect(bundle).toContain(authority.toString().trim());
  expect(bundle.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(100);
});

test('the managed identity’s variables hold no client secret', async () => {
  const set = await variables('--managed-identity');
  expect(set).toMatchObject({ AZURE_CLIENT_SECRET: null, AZURE_CLIENT_ID: null, AZURE_TENANT_ID: null });
  expect(set.IDENTITY_ENDPOINT).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${server.localPort}/`));
  expect(set.IDENTITY_HEADER).toMatch(/^\S{40,}$/);
  expect([set.MSI_ENDPOINT, set.MSI_SECRET]).toEqual([set.IDENTITY_ENDPOINT, set.IDENTITY_HEADER]);
  expect(set).toMatchObject({ ARM_CLIENT_SECRET: null, ARM_CLIENT_ID: null, ARM_USE_MSI: 'true' });
});

test('Java opens the trust store that it is told of', async ({ skip }) => {
  const keytool = findTool('keytool');
  if (!optional('Java trust store', keytool !== undefined) || keytool === undefined) return skip();
  const { JAVA_TOOL_OPTIONS: options } = await variables();
  const password = /trustStorePassword=(\S+)/.exec(options ?? '')?.[1] ?? '';
  const store = join(folder.path, 'ca.p12');
  const ran = await run(keytool, [
    '-list',
    '-keystore',
    store,
    '-storepass',
    password,
    '-storetype',
    'PKCS12',
  ]);
  expect(ran.code).toBe(0);
  expect(ran.stdout).toMatch(/contains \d{3} entries/);
  expect(ran.stdout).toContain('trustedCertEntry');
});
