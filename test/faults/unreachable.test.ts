/**
 * Proves that the way by which tests bring faults into a server is not there for anyone else: it is an argument of one
 * function, no flag, variable or file leads to it, and what implements it is not in the package.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { checkout, program, run, type TemporaryFolder, temporaryFolder } from '../support/process.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const sources = join(checkout, 'src');
const files = readdirSync(sources, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts') && !/\.test\.ts$|test-support\.ts$/.test(name))
  .map((name) => ({ name, text: readFileSync(join(sources, name), 'utf8') }));

test('the hook is known to the composition root alone', () => {
  const knowing = files.filter(({ text }) => /testOnlyFaults/i.test(text)).map(({ name }) => name);
  expect(knowing.sort()).toEqual(['service.ts', 'service/data.ts']);
});

test('the command line opens services with a role at the most, and never hands on what it was given', () => {
  const calls = files
    .filter(({ name }) => name.startsWith('cli/') || name === 'main.ts')
    .flatMap(({ text }) => [...text.matchAll(/\bopenService\((.*)\)/g)].map((match) => match[1]));
  expect(calls.length).toBeGreaterThan(0);
  for (const given of calls) expect(given).toMatch(/^(?:config|loadConfig\(\{.*\}\))(?:, \{ worker \})?$/);
});

test('no source imports anything of the tests', () => {
  for (const { name, text } of files) expect(text, name).not.toMatch(/from '[^']*\/test\//);
});

test('neither flag nor variable nor file names it', async () => {
  const names = ['testOnlyFaults', 'test-only-faults', 'faults', 'TEST_ONLY_FAULTS', 'FAULTS'];
  const flags = Object.fromEntries(names.map((name) => [name, { database: () => undefined }]));
  const environment = Object.fromEntries(names.map((name) => [`STRONGROOM_${name}`, '1']));
  const plain = { data: folder.path };
  const config = loadConfig({ flags: { ...flags, ...plain }, environment });
  expect(config).toEqual(loadConfig({ flags: plain, environment: {} }));
  for (const name of names) {
    const configFile = join(folder.path, 'strongroom.yaml');
    await writeFile(configFile, `${name}: true\n`);
    expect(() => loadConfig({ flags: plain, configFile, environment: {} })).toThrow(ConfigError);
    const started = await run(program, ['start', `--${name}`]);
    expect([started.code === 0, started.stderr]).toEqual([false, expect.stringContaining('unknown option')]);
  }
});

test('the package takes the build alone, and the build takes no test', () => {
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { files: string[] };
  expect(manifest.files.filter((name) => name !== 'dist' && !/^[A-Z]+(?:\.md)?$/.test(name))).toEqual([]);
  const build = JSON.parse(readFileSync(join(checkout, 'tsconfig.build.json'), 'utf8')) as {
    include: string[];
    exclude: string[];
  };
  expect(build.include).toEqual(['src']);
  expect(build.exclude).toEqual(expect.arrayContaining(['src/**/*.test.ts', 'src/**/test-support.ts']));
});
