/**
 * Proves that Terraform's azurerm provider, unchanged, carries out `examples/terraform`: it applies, finds nothing to change
 * afterwards, changes in place, and leaves nothing behind; on the cloud that it knows by itself, and on one of the server's
 * own names. The provider waits for minutes by itself. It is the one in the folder that `STRONGROOM_AZURERM` names.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditRecords } from '../support/audit-records.ts';
import { whereFound } from '../support/optional.ts';
import {
  checkout,
  findTool,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const provider = process.env.STRONGROOM_AZURERM;
const isFound = whereFound(
  'Terraform’s azurerm provider',
  provider !== undefined && findTool('terraform') !== undefined,
);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const example = join(checkout, 'examples', 'terraform', 'main.tf');
/** Terraform's own words; with `-detailed-exitcode` a plan that changes nothing ends with 0. */
const applied = (counts: string) => new RegExp(`Apply complete! Resources: ${counts}\\.`);

test.skipIf(!isFound).concurrent.each([
  ['on the cloud that it knows by itself', () => []],
  [
    'on a cloud of the server’s own names',
    (port: number) => [`ARM_METADATA_HOSTNAME=management.strongroom.localhost:${port}`],
  ],
])('the example is applied, changed and destroyed, %s', { timeout: 900_000 }, async (where, variables) => {
  const cwd = join(folder.path, where.replaceAll(/\W+/g, '-'));
  const server = await startProcess(join(cwd, 'data'));
  const project = join(cwd, 'project');
  await mkdir(project);
  // In place of one from a registry, without `terraform init`.
  const overrides = `dev_overrides { "hashicorp/azurerm" = ${JSON.stringify(provider)} }`;
  await writeFile(join(project, 'cli.tfrc'), `provider_installation {\n  ${overrides}\n}\n`);
  const env = { HOME: project, CHECKPOINT_DISABLE: '1', TF_CLI_CONFIG_FILE: join(project, 'cli.tfrc') };
  const terraform = async (...args: string[]) => {
    const words = ['env', ...variables(server.port), 'terraform', ...args, '-no-color', '-input=false'];
    const ran = await strongroom(['exec', '--data', server.folder, '--', ...words], { cwd: project, env });
    expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 });
    return ran.stdout;
  };
  try {
    const text = await readFile(example, 'utf8');
    await writeFile(join(project, 'main.tf'), text);
    expect(await terraform('apply', '-auto-approve')).toMatch(applied('8 added, 0 changed, 0 destroyed'));
    await terraform('plan', '-detailed-exitcode');

    const changed = text.replace('correct horse battery staple', 'another').replace('P60D', 'P45D');
    await writeFile(join(project, 'main.tf'), changed);
    expect(await terraform('apply', '-auto-approve')).toMatch(applied('0 added, 2 changed, 0 destroyed'));
    await terraform('plan', '-detailed-exitcode');

    await terraform('destroy', '-auto-approve');
    const { stdout } = await strongroom(['vault', 'list', '--json', '--data', server.folder]);
    expect(JSON.parse(stdout).vaults.map(({ name }: { name: string }) => name)).toEqual(['dev']);
    // It asks whether a vault is there without a token, for what is not there yet, and for contacts that it may not see.
    // Nothing else is refused.
    const requests = (await auditRecords(server)).filter((record) => Object.hasOwn(record, 'properties'));
    const statuses = requests.map(({ properties }) => properties.httpStatusCode);
    const refused = new Set(statuses.filter((status) => status >= 400));
    expect(requests.length).toBeGreaterThan(100);
    expect([401, 403, 404]).toEqual(expect.arrayContaining([...refused]));
  } finally {
    await server.end();
  }
});
