import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openFileAuditLog } from './file-log.ts';
import { testAnchors, testClock, testEntry, testFolder, testLog, testMac } from './test-support.ts';
import { type AuditVerification, verifyAuditLog } from './verify.ts';

/** A closed log of `count` records in files of three records each. */
async function writeLog(directory: string, count: number) {
  const anchors = testAnchors();
  const deps = { clock: testClock(), log: testLog(), mac: testMac, anchors };
  const audit = await openFileAuditLog(deps, { directory, maxBytes: 3200 });
  for (let i = 0; i < count; i += 1) await audit.append(testEntry({ operationName: `Op${i}` }));
  await audit.close();
  const names = readdirSync(directory).sort();
  return { names, verify: () => verifyAuditLog({ mac: testMac, anchors }, directory), anchors };
}

function edit(path: string, change: (lines: string[]) => string[]): void {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  writeFileSync(
    path,
    change(lines)
      .map((line) => `${line}\n`)
      .join(''),
  );
}

function messages({ problems }: AuditVerification): string[] {
  return problems.map(({ file, line, message }) => `${file}:${line} ${message}`);
}

test('flipping any bit of any byte of any file is found', async () => {
  await using folder = await testFolder();
  const { names, verify } = await writeLog(folder.path, 8);
  expect(names.length).toBeGreaterThan(2);
  const files = names.map((name) => ({
    path: join(folder.path, name),
    bytes: readFileSync(join(folder.path, name)),
  }));
  const place = fc.constantFrom(...files).chain(({ path, bytes }) =>
    fc.record({
      path: fc.constant(path),
      bytes: fc.constant(bytes),
      at: fc.nat(bytes.length - 1),
      bit: fc.nat(7),
    }),
  );
  await fc.assert(
    fc.asyncProperty(place, async ({ path, bytes, at, bit }) => {
      const flipped = Buffer.from(bytes);
      flipped[at] = (bytes[at] ?? 0) ^ (1 << bit);
      writeFileSync(path, flipped);
      const result = await verify();
      writeFileSync(path, bytes);
      expect(result.problemCount).toBeGreaterThan(0);
    }),
    { numRuns: 300 },
  );
  expect((await verify()).problems).toEqual([]);
});

test.each([
  [
    'changed',
    (l: string[]) => l.with(2, (l[2] ?? '').replace('Op', 'Xp')),
    /:3 the line, or the one before it, was changed/,
  ],
  ['removed', (l: string[]) => l.toSpliced(2, 1), /:3 numbers 3 to 3 are missing/],
  ['repeated', (l: string[]) => l.toSpliced(2, 0, l[1] ?? ''), /:3 a line is inserted, repeated/],
  [
    'swapped',
    (l: string[]) => [l[0] ?? '', l[2] ?? '', l[1] ?? '', ...l.slice(3)],
    /:2 numbers 2 to 2 are missing or out of order/,
  ],
  [
    'inserted',
    (l: string[]) => l.toSpliced(2, 0, '{"time":"x","seq":3,"mac":"00"}'),
    /:3 the line is not a record/,
  ],
  ['without a header', (l: string[]) => l.slice(1), /:1 the header of the file was changed/],
])('a line %s', async (_, change, expected) => {
  await using folder = await testFolder();
  const { names, verify } = await writeLog(folder.path, 8);
  edit(join(folder.path, names[0] ?? ''), change);
  const found = messages(await verify());
  expect(found[0]).toMatch(expected);
  expect(found.length).toBeLessThan(5);
});

test('a file removed at the start, in the middle and at the end', async () => {
  for (const index of [0, 1, -1]) {
    await using folder = await testFolder();
    const { names, verify } = await writeLog(folder.path, 12);
    const name = names.at(index) ?? '';
    rmSync(join(folder.path, name));
    const [message = ''] = messages(await verify());
    expect(message).toMatch(index === -1 ? /its end was removed/ : new RegExp(`${name}.*missing`));
  }
});

test('the end of a file in the middle removed', async () => {
  await using folder = await testFolder();
  const { names, verify } = await writeLog(folder.path, 12);
  edit(join(folder.path, names[1] ?? ''), (lines) => lines.slice(0, -1));
  expect(messages(await verify())).toEqual([
    expect.stringMatching(
      /^audit-00000003\.jsonl:1 numbers \d+ to \d+ are missing from the end of the file before/,
    ),
  ]);
});

test('files exchanged, and a file copied under the next name', async () => {
  await using folder = await testFolder();
  const { names, verify } = await writeLog(folder.path, 12);
  const [a = '', b = ''] = names.map((name) => join(folder.path, name));
  renameSync(a, `${a}.x`);
  renameSync(b, a);
  renameSync(`${a}.x`, b);
  expect((await verify()).problemCount).toBeGreaterThan(1);
  renameSync(a, `${a}.x`);
  renameSync(b, a);
  renameSync(`${a}.x`, b);
  expect((await verify()).problemCount).toBe(0);
  copyFileSync(b, join(folder.path, 'audit-00000099.jsonl'));
  expect(messages(await verify())[0]).toMatch(/renamed or is a copy/);
});

test('a log of the right form under another key is refused line by line, and the report stays bounded', async () => {
  await using folder = await testFolder();
  const { anchors } = await writeLog(folder.path, 8);
  const mac: typeof testMac = (previous, line) =>
    testMac(Buffer.concat([previous, Buffer.from('other')]), line);
  const result = await verifyAuditLog({ mac, anchors }, folder.path);
  expect(result.problemCount).toBeGreaterThan(8);
  writeFileSync(join(folder.path, 'audit-00000001.jsonl'), `${'x\n'.repeat(5000)}`);
  writeFileSync(
    join(folder.path, 'audit-00000002.jsonl'),
    `{"a":0,"seq":1,"mac":"${'0'.repeat(64)}"}\n${'x\n'.repeat(5000)}`,
  );
  const flooded = await verifyAuditLog({ mac, anchors }, folder.path);
  expect(flooded.problems).toHaveLength(1000);
  expect(flooded.problemCount).toBeGreaterThan(5000);
});

test('a line of any length is read in constant memory and reported', async () => {
  await using folder = await testFolder();
  const { names, verify } = await writeLog(folder.path, 2);
  const path = join(folder.path, names[0] ?? '');
  edit(path, (lines) => lines.toSpliced(2, 0, 'x'.repeat(1_000_000)));
  expect(messages(await verify())[0]).toMatch(/:3 the line is not a record/);
});

test('problems never hold what a record says', async () => {
  await using folder = await testFolder();
  const { names, verify } = await writeLog(folder.path, 8);
  edit(join(folder.path, names[0] ?? ''), (lines) => lines.map((line) => line.replace('"', '"hunter2')));
  edit(join(folder.path, names[1] ?? ''), (lines) =>
    lines.map((line) => line.replace(/audit-\d+/g, 'hunter2')),
  );
  const result = await verify();
  expect(result.problemCount).toBeGreaterThan(4);
  expect(JSON.stringify(result)).not.toContain('hunter2');
});

test('an empty folder without an anchor is fine, with one it is not', async () => {
  await using folder = await testFolder();
  const empty = await verifyAuditLog({ mac: testMac, anchors: testAnchors() }, join(folder.path, 'none'));
  expect(empty).toEqual({
    records: 0,
    files: 0,
    firstTime: undefined,
    lastTime: undefined,
    problems: [],
    problemCount: 0,
  });
  const anchors = testAnchors({ seq: 5, mac: '00' });
  expect((await verifyAuditLog({ mac: testMac, anchors }, folder.path)).problemCount).toBe(1);
});
