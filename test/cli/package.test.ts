/**
 * Proves that what is published works without this checkout: the build runs under plain Node, and the package holds
 * the program and its papers, and neither sources nor tests.
 */
import { readFileSync } from 'node:fs';
import { chmod, cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  checkout,
  filesBelow,
  launch,
  run,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
const built = () => join(folder.path, 'dist', 'main.js');
beforeAll(async () => {
  folder = await temporaryFolder();
  const compiler = join(checkout, 'node_modules', '.bin', 'tsc');
  const project = join(checkout, 'tsconfig.build.json');
  const compiled = await run(compiler, ['-p', project, '--outDir', join(folder.path, 'dist')]);
  expect(compiled).toMatchObject({ code: 0, stdout: '' });
  for (const file of ['package.json', 'LICENSE', 'README.md', 'SECURITY.md', 'CHANGELOG.md']) {
    await cp(join(checkout, file), join(folder.path, file)).catch(() => undefined);
  }
  await symlink(join(checkout, 'node_modules'), join(folder.path, 'node_modules'));
});
afterAll(() => folder.remove());

test('the built program says its version', async () => {
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
  const ran = await run('node', [built(), 'version', '--json'], { cwd: folder.path });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ran.stdout)).toMatchObject({ strongroom: manifest.version });
});

test('the built program serves, and runs a command against a throw-away server', async () => {
  const script = 'printf %s "$AZURE_CLIENT_ID"';
  const ran = await run('node', [built(), 'exec', '--ephemeral', '--', 'sh', '-c', script], {
    cwd: folder.path,
  });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toMatch(/^[0-9a-f-]{36}$/);

  const data = join(folder.path, 'data');
  const ports = ['--port', '0', '--local-port', '0'];
  const server = launch('node', [built(), 'start', '--dev', '--data', data, ...ports], { cwd: folder.path });
  await server.seen(/Stop with Ctrl-C/);
  server.child.kill('SIGTERM');
  expect(await server.finished).toMatchObject({ code: 0 });
});

test('it starts through a link, as npm installs it', async () => {
  await chmod(built(), 0o755);
  const link = join(folder.path, 'strongroom');
  await symlink(built(), link);
  expect(await run(link, ['version'])).toMatchObject({ code: 0, stderr: '' });
});

test('the package holds the program and its papers, and nothing else', async () => {
  const packed = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder.path });
  expect(packed.code).toBe(0);
  const output = JSON.parse(packed.stdout) as unknown;
  // A list until npm 11, by name from npm 12 on.
  const [found] = Object.values(output as Record<string, { files: { path: string }[] }>);
  const paths = found?.files.map(({ path }) => path) ?? [];
  expect(paths).toContain('dist/main.js');
  expect(paths).toContain('dist/cli/program.js');
  expect(paths).toContain('package.json');
  expect(paths).toContain('LICENSE');
  const papers = /^(?:package\.json|LICENSE|README\.md|SECURITY\.md|CHANGELOG\.md)$/;
  expect(paths.filter((path) => !papers.test(path) && !/^dist\/[\w/-]+\.js$/.test(path))).toEqual([]);
  expect(paths.filter((path) => /\.test\.|\btest\/|test-support/.test(path))).toEqual([]);
  expect(paths.filter((path) => path.startsWith('dist/')).length).toBe(
    filesBelow(join(folder.path, 'dist')).length,
  );
});

test('the build leaves no import of a TypeScript file', () => {
  for (const file of filesBelow(join(folder.path, 'dist'))) {
    const text = readFileSync(join(folder.path, 'dist', file), 'utf8');
    expect(text, file).not.toMatch(/(?:from|import\()\s*'\.[^']*\.ts'/);
  }
});
