/**
 * Proves that Terraform's own binary finds its way here and signs in: its azurerm backend has the metadata, token and
 * resource manager clients of the azurerm provider, and needs no plugin. It then asks for a storage account to keep its
 * state in, which this server does not have.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { optional, whereFound } from '../support/optional.ts';
import {
  findTool,
  run,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const hasTerraform = whereFound('Terraform through exec', findTool('terraform') !== undefined);
const hasOpenssl =
  hasTerraform && optional('Terraform with a certificate', findTool('openssl') !== undefined);

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

const backend = `
terraform {
  backend "azurerm" {
    resource_group_name  = "default"
    storage_account_name = "state"
    container_name       = "state"
    key                  = "state"
  }
}
`;

/** What Terraform says when it was let in and the resource manager has told it that there is no such account. */
const noAccount = /unexpected status 404 [\s\S]*InvalidResourceType: The resource type 'storageAccounts'/;

interface Sign {
  /** Lines of shell that set the variables of a credential. */
  readonly credential: string;
  readonly exec?: readonly string[];
  readonly project: string;
}

/** `terraform init`, and what this server recorded of it: the operations, and by which application. */
async function init({ credential, exec = [], project }: Sign) {
  await writeFile(join(project, 'main.tf'), backend);
  const script = `
    export ARM_SUBSCRIPTION_ID=$AZURE_SUBSCRIPTION_ID CHECKPOINT_DISABLE=1
    ${credential}
    exec terraform init -input=false -no-color`;
  const args = ['exec', '--data', folder.path, ...exec, '--', 'sh', '-c', script];
  let stderr = '';
  const records = await auditedDuring(server, async () => {
    ({ stderr } = await strongroom(args, { cwd: project, env: { HOME: project } }));
  });
  const asked = records
    .filter(({ operationName }) => operationName !== 'ClientEnvironmentGet')
    .map(({ operationName, identity, properties }) => ({
      operation: operationName,
      host: new URL(properties.requestUri).host,
      appId: identity.claim.appid,
    }));
  return { stderr, asked };
}

async function identities(): Promise<
  { name: string; clientId: string; objectId: string; tenantId: string }[]
> {
  const { stdout } = await strongroom(['identity', 'list', '--json', '--data', folder.path]);
  return JSON.parse(stdout).identities;
}

async function inProject<T>(use: (project: string) => Promise<T>): Promise<T> {
  const project = await temporaryFolder();
  try {
    return await use(project.path);
  } finally {
    await project.remove();
  }
}

const tenant = 'export ARM_TENANT_ID=$AZURE_TENANT_ID';
const secret = `${tenant} ARM_CLIENT_ID=$AZURE_CLIENT_ID ARM_CLIENT_SECRET=$AZURE_CLIENT_SECRET`;

test.skipIf(!hasTerraform)(
  'Terraform signs in with a secret, on the cloud that it knows by itself',
  async () => {
    const { stderr, asked } = await inProject((project) => init({ credential: secret, project }));
    expect(stderr).toMatch(noAccount);
    const appId = (await identities()).find(({ name }) => name === 'developer')?.clientId;
    expect(asked).toEqual([
      { operation: 'TokenIssue', host: 'login.microsoftonline.com', appId },
      { operation: 'Unknown', host: 'management.azure.com', appId },
    ]);
  },
);

test.skipIf(!hasTerraform)(
  'Terraform learns of a cloud of its own from the metadata, and signs in there',
  async () => {
    const own = (name: string) => `${name}.strongroom.localhost:${server.port}`;
    const credential = `${secret} ARM_METADATA_HOSTNAME=${own('management')}`;
    const { stderr, asked } = await inProject((project) => init({ credential, project }));
    expect(stderr).toMatch(noAccount);
    expect(asked.map(({ operation, host }) => [operation, host])).toEqual([
      ['MetadataEndpointsGet', own('management')],
      ['TokenIssue', own('login')],
      ['Unknown', own('management')],
    ]);
  },
);

test.skipIf(!hasTerraform)('Terraform signs in as the managed identity', async () => {
  const [someone] = await identities();
  const endpoint = `http://127.0.0.1:${server.localPort}/metadata/identity/oauth2/token`;
  const credential = `export ARM_TENANT_ID=${someone?.tenantId} ARM_USE_MSI=true ARM_MSI_ENDPOINT=${endpoint}`;
  const exec = ['--managed-identity'];
  const { stderr, asked } = await inProject((project) => init({ credential, exec, project }));
  expect(stderr).toMatch(noAccount);
  expect(asked.map(({ operation }) => operation)).toContain('ManagedIdentityTokenIssue');
});

test.skipIf(!hasOpenssl)('Terraform signs in with a certificate', async () => {
  await inProject(async (project) => {
    const openssl = async (...args: string[]) => {
      const ran = await run('openssl', args, { cwd: project });
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
    };
    await openssl(
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=terraform', '-days', '2'],
      ...['-keyout', 'key.pem', '-out', 'certificate.pem'],
    );
    const bundle = [
      '-inkey',
      'key.pem',
      '-in',
      'certificate.pem',
      '-out',
      'bundle.pfx',
      '-passout',
      'pass:p',
    ];
    await openssl('pkcs12', '-export', ...bundle);
    const certificate = join(project, 'certificate.pem');
    const added = ['identity', 'add-certificate', 'developer', certificate, '--json', '--data', folder.path];
    expect(await strongroom(added)).toMatchObject({ code: 0 });
    const path = join(project, 'bundle.pfx');
    const pfx = `ARM_CLIENT_CERTIFICATE_PATH=${path} ARM_CLIENT_CERTIFICATE_PASSWORD=p`;
    const credential = `${tenant} ARM_CLIENT_ID=$AZURE_CLIENT_ID ${pfx}`;
    const { stderr, asked } = await init({ credential, project });
    expect(stderr).toMatch(noAccount);
    expect(asked.map(({ operation }) => operation)).toEqual(['TokenIssue', 'Unknown']);
  });
});

test.skipIf(!hasTerraform)('Terraform is told that its secret is wrong', async () => {
  const credential = `${secret.replace('$AZURE_CLIENT_SECRET', 'wrong')}`;
  const { stderr, asked } = await inProject((project) => init({ credential, project }));
  expect(stderr).toContain('AADSTS7000215');
  expect(asked.map(({ operation }) => operation)).toEqual(['TokenIssue']);
});
