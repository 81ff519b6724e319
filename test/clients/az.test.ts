/**
 * Proves that the az command line, unmodified, does its work here: the walk-through in `examples/` on the cloud that az
 * knows by itself and on one that it is told of, what it has for certificates and for managed identities, and the
 * sign-ins that the walk-through does not use: that of App Service, and a federated one.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

/** The walk-through is some eighty commands, each of which loads a Python program of some size. */
const timeout = 15 * 60_000;

/** One that is named, the checkout's own, or the machine's; only one whose commands for what is in vaults work. */
async function findAz(): Promise<string | undefined> {
  for (const az of [process.env.STRONGROOM_AZ, join(checkout, '.venv', 'az', 'bin', 'az'), findTool('az')]) {
    if (az === undefined || !existsSync(az)) continue;
    const { code } = await run(az, ['keyvault', 'secret', 'show', '--help'], { env: settings() });
    if (code === 0) return az;
  }
  return undefined;
}

/** No word of this to anybody, and nothing of the caller's own sign-ins. */
function settings(): Record<string, string> {
  return { AZURE_CORE_COLLECT_TELEMETRY: '0', HOME: folder.path };
}

let folder: TemporaryFolder;
let server: ServerProcess;
let az: string | undefined;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startProcess(folder.path);
  az = await findAz();
  const found = az !== undefined && findTool('curl') !== undefined;
  if (!optional('az through exec', found, 'no az whose keyvault commands work, or no curl')) az = undefined;
});
afterAll(async () => {
  await server.end();
  await folder.remove();
});

/** Runs a command with az on its path through `exec`. */
function exec(options: readonly string[], ...command: string[]) {
  const path = [dirname(az ?? ''), process.env.PATH].join(':');
  const args = ['exec', '--data', folder.path, ...options, '--', ...command];
  return strongroom(args, { env: { ...settings(), PATH: path } });
}

const walkThrough = join(checkout, 'examples', 'walk-through.sh');

test.concurrent('the walk-through, on the cloud that az knows by itself', { timeout }, async ({ skip }) => {
  if (az === undefined) return skip();
  const ran = await exec([], 'sh', walkThrough);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  expect(ran.stdout).toContain('https://kv1-');
  expect(ran.stdout).toMatch(/\ndelete +.* is purged\n$/);
});

test.concurrent('the walk-through, on a cloud made known to az', { timeout }, async ({ skip }) => {
  if (az === undefined) return skip();
  const domain = `strongroom.localhost:${server.port}`;
  const ran = await exec([], 'sh', walkThrough, domain);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  expect(ran.stdout).toContain(`.vault.${domain}/secrets/ExamplePassword/`);
  expect(ran.stdout).toMatch(/\ndelete +.* is purged\n$/);
});

test.concurrent('every command for certificates', { timeout }, async ({ skip }) => {
  if (az === undefined) return skip();
  const found = findTool('openssl') !== undefined;
  if (!optional("az's certificates judged by OpenSSL", found)) return skip();
  const ran = await exec([], 'sh', join(import.meta.dirname, 'programs', 'certificates.sh'));
  expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: 'done\n' });
});

test.concurrent('every command for user-assigned identities', { timeout }, async ({ skip }) => {
  if (az === undefined) return skip();
  const ran = await exec([], 'sh', join(import.meta.dirname, 'programs', 'identities.sh'));
  expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: 'done\n' });
});

test('az signs in as the managed identity of App Service, with nothing but what exec sets', {
  timeout,
}, async ({ skip }) => {
  if (az === undefined) return skip();
  const script = `
    set -e
    az login --identity --allow-no-subscriptions --output none
    az keyvault secret set --vault-name dev --name by-machine --value 'from az' --output none
    az keyvault secret show --vault-name dev --name by-machine --query value --output tsv`;
  const ran = await exec(['--managed-identity'], 'sh', '-c', script);
  expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: 'from az\n' });
  // Signing in here does not touch the sign-ins at Azure.
  expect(existsSync(join(folder.path, 'azure', 'azureProfile.json'))).toBe(true);
});

test('az signs in with the token of another identity that the application has registered', {
  timeout,
}, async ({ skip }) => {
  if (az === undefined) return skip();
  const command = async (...words: string[]) => {
    const ran = await strongroom([...words, '--json', '--data', folder.path]);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    return JSON.parse(ran.stdout);
  };
  const ownToken = `
    set -e
    az login --identity --allow-no-subscriptions --output none
    az account get-access-token --resource https://vault.azure.net --query accessToken --output tsv`;
  const workload = await exec(['--managed-identity'], 'sh', '-c', ownToken);
  expect(workload, workload.stderr).toMatchObject({ code: 0 });
  const token = workload.stdout.trim();
  const { iss, sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const { clientId, tenantId } = await command('identity', 'create', 'pipeline');
  await command('identity', 'grant', 'pipeline', '--role', 'Key Vault Secrets Officer', '--vault', 'dev');
  const trust = ['--name', 'workload', '--issuer', iss, '--subject', sub];
  await command('identity', 'add-federated', 'pipeline', ...trust, '--audience', 'https://vault.azure.net');
  const script = `
    set -e
    az login --service-principal --username "$1" --tenant "$2" --federated-token "$3" \\
      --allow-no-subscriptions --output none
    az keyvault secret set --vault-name dev --name by-federation --value 'from az' --output none
    az keyvault secret show --vault-name dev --name by-federation --query value --output tsv`;
  const signIn = (as: string) => exec([], 'sh', '-c', script, 'sh', as, tenantId, token);
  const ran = await signIn(clientId);
  expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: 'from az\n' });
  const { clientId: other } = await command('identity', 'create', 'another-pipeline');
  expect(await signIn(other)).toMatchObject({ code: 1, stderr: expect.stringContaining('AADSTS70021') });
});
