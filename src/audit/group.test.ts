/** Proves that lines which share one MAC are as safe as lines with one each: against changes, crashes and hostile files. */

import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { genesis, parseChainLine } from './chain.ts';
import { openFileAuditLog } from './file-log.ts';
import { type FileOperations, systemFiles } from './files.ts';
import { groupSealing, mostGroupBytes, mostGroupLines, sealGroups } from './group.ts';
import { testAnchors, testClock, testEntry, testFolder, testLog, testMac } from './test-support.ts';
import { verifyAuditLog } from './verify.ts';

const first = 'audit-00000001.jsonl';

async function openLog(
  directory: string,
  setup: { anchors?: ReturnType<typeof testAnchors>; maxBytes?: number } = {},
) {
  const { anchors = testAnchors(), maxBytes = 1e9 } = setup;
  const log = testLog();
  const deps = { clock: testClock(), log, mac: testMac, anchors };
  const audit = await openFileAuditLog(deps, { directory, maxBytes });
  let count = 0;
  /** Appends `size` records that are written together. */
  const append = async (size: number) => {
    const names = Array.from({ length: size }, () => `Op${count++}`);
    await Promise.all(names.map((operationName) => audit.append(testEntry({ operationName }))));
  };
  return { audit, anchors, log, append, verify: () => verifyAuditLog({ mac: testMac, anchors }, directory) };
}

/** A closed log with groups of these sizes. */
async function writeLog(directory: string, sizes: readonly number[], maxBytes = 1e9) {
  const log = await openLog(directory, { maxBytes });
  for (const size of sizes) await log.append(size);
  await log.audit.close();
  return log;
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

function writeLines(path: string, lines: readonly string[]): void {
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
}

function hasMac(line: string): boolean {
  return Object.hasOwn(JSON.parse(line), 'mac');
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 6 });

test('only the last line of a group has a MAC, every line has a number, and a line alone is a group', async () => {
  await using folder = await testFolder();
  const { verify } = await writeLog(folder.path, [3, 1, 2]);
  const lines = linesOf(join(folder.path, first));
  expect(lines.map(hasMac)).toEqual([true, false, false, true, true, false, true]);
  expect(lines.map((line) => JSON.parse(line).seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(await verify()).toMatchObject({ records: 6, problems: [] });
  const [header = '', one = '', two = '', three = ''] = lines;
  const before = Buffer.from(JSON.parse(header).mac, 'hex');
  const covered = `${one}\n${two}\n${three.replace(/,"mac":"\w+"/, '')}`;
  expect(JSON.parse(three).mac).toBe(Buffer.from(testMac(before, Buffer.from(covered))).toString('hex'));
});

type Edit = (lines: string[], at: number, to: number) => string[];
const edits: Record<string, Edit> = {
  dropped: (lines, at) => lines.toSpliced(at, 1),
  repeated: (lines, at, to) => lines.toSpliced(to, 0, lines[at] ?? ''),
  moved: (lines, at, to) => lines.toSpliced(at, 1).toSpliced(to, 0, lines[at] ?? ''),
  swapped: (lines, at, to) => lines.with(at, lines[to] ?? '').with(to, lines[at] ?? ''),
  'robbed of its MAC': (lines, at) => lines.with(at, (lines[at] ?? '').replace(/,"mac":"\w+"/, '')),
  'cut with all that follows': (lines, at) => lines.slice(0, at),
};

test.each(Object.entries(edits))('any line %s is found, whatever the groups', async (_, edit) => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), fc.nat(), fc.nat(), async (groups, fileAt, lineAt, lineTo) => {
      await using folder = await testFolder();
      const { verify } = await writeLog(folder.path, groups, 9000);
      const names = readdirSync(folder.path).sort();
      const path = join(folder.path, names[fileAt % names.length] ?? '');
      const lines = linesOf(path);
      const edited = edit(lines, lineAt % lines.length, lineTo % lines.length);
      fc.pre(edited.join() !== lines.join());
      expect((await verify()).problemCount).toBe(0);
      writeLines(path, edited);
      expect((await verify()).problemCount).toBeGreaterThan(0);
    }),
    { numRuns: 40 },
  );
});

test('any byte changed is found, whatever the groups', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), fc.integer({ min: 1, max: 255 }), async (groups, at, mask) => {
      await using folder = await testFolder();
      const { verify } = await writeLog(folder.path, groups);
      const path = join(folder.path, first);
      const bytes = readFileSync(path);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ mask;
      writeFileSync(path, bytes);
      expect((await verify()).problemCount).toBeGreaterThan(0);
    }),
    { numRuns: 150 },
  );
});

test('a changed group is reported once, with its lines, and stops the start', async () => {
  await using folder = await testFolder();
  const { verify, anchors } = await writeLog(folder.path, [2, 4, 3]);
  const path = join(folder.path, first);
  const lines = linesOf(path);
  writeLines(path, lines.with(5, (lines[5] ?? '').replace('"OK"', '"KO"')));
  expect((await verify()).problems).toEqual([
    { file: first, line: 4, message: expect.stringMatching(/^lines 4 to 7, which share a MAC: one of them/) },
  ]);
  await expect(openLog(folder.path, { anchors })).rejects.toThrow(
    /damaged: audit-00000001\.jsonl, line 4: lines 4 to 7/,
  );
  writeLines(path, lines.toSpliced(5, 1));
  expect((await verify()).problems).toMatchObject([
    { line: 4, message: expect.stringMatching(/^lines 4 to 6.*numbers 6 to 6 are missing/) },
  ]);
  writeLines(path, lines.toSpliced(5, 0, 'x'));
  expect((await verify()).problems).toEqual([{ file: first, line: 6, message: 'the line is not a record' }]);
});

/** Where a write may be cut: around every line end, and anywhere else. */
function cuts(last: Buffer): number[] {
  const ends = [...last.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at);
  const macAt = last.lastIndexOf(',"mac"');
  const places = [1, macAt, macAt + 1, macAt + 20, ...ends.flatMap((at) => [at - 1, at, at + 1])];
  const anywhere = fc.sample(fc.integer({ min: 1, max: last.length - 1 }), { numRuns: 30, seed: 7 });
  return [...places, ...anywhere].filter((at) => at < last.length);
}

test('a crash at any byte of a write leaves every record that was acknowledged, and sets the rest aside', async () => {
  await using folder = await testFolder();
  const path = join(folder.path, first);
  const log = await openLog(folder.path);
  await log.append(4);
  const acknowledged = readFileSync(path);
  const size = acknowledged.length;
  const { audit, append } = log;
  await append(3);
  const last = readFileSync(path).subarray(size);
  await audit.close();
  for (const cut of cuts(last)) {
    await using crashed = await testFolder();
    const file = join(crashed.path, first);
    writeFileSync(file, Buffer.concat([acknowledged, last.subarray(0, cut)]));
    const anchors = testAnchors({ seq: 5, mac: JSON.parse(linesOf(file)[4] ?? '').mac });
    const before = await verifyAuditLog({ mac: testMac, anchors }, crashed.path);
    expect(before).toMatchObject({ records: 4, problems: [{ file: first, line: 6 }] });
    const again = await openLog(crashed.path, { anchors });
    await again.append(2);
    await again.audit.close();
    expect(readFileSync(file).subarray(0, size)).toEqual(acknowledged);
    expect(readFileSync(join(crashed.path, 'audit-00000001.torn'))).toEqual(last.subarray(0, cut));
    const note = JSON.parse(linesOf(file)[5] ?? '');
    expect(note.properties).toEqual({ reason: 'incompleteEnd', file: first, bytes: cut });
    expect(await again.verify()).toMatchObject({ records: 7, problems: [] });
  }
});

test('an anchored group that lost its closing line is a gap, not a crash', async () => {
  await using folder = await testFolder();
  const { verify, anchors } = await writeLog(folder.path, [2, 3]);
  const path = join(folder.path, first);
  truncateSync(path, readFileSync(path).lastIndexOf(10, -2) + 1);
  expect((await verify()).problems).toMatchObject([
    { line: 4 },
    { message: expect.stringMatching(/end was removed/) },
  ]);
  const again = await openLog(folder.path, { anchors });
  expect(again.log.messages).toContainEqual(expect.stringMatching(/gap/));
  await again.audit.close();
  expect((await verify()).problems).toMatchObject([{ message: expect.stringMatching(/declares a gap/) }]);
});

test('many records of one turn make several groups, each of bounded size', async () => {
  await using folder = await testFolder();
  const { audit, append, verify } = await openLog(folder.path);
  const small = testEntry({
    principal: undefined,
    id: undefined,
    requestUri: '',
    userAgent: '',
    resourceId: '',
  });
  await Promise.all(Array.from({ length: 2 * mostGroupLines + 10 }, () => audit.append(small)));
  await append(mostGroupLines);
  const wide = testEntry({
    userAgent: '\u20ac'.repeat(512),
    requestUri: '\u20ac'.repeat(2048),
    id: '\u20ac'.repeat(2048),
  });
  await Promise.all(Array.from({ length: 100 }, () => audit.append(wide)));
  await audit.close();
  const groups: { lines: number; bytes: number }[] = [{ lines: 0, bytes: 0 }];
  for (const line of linesOf(join(folder.path, first))) {
    const group = groups.at(-1) ?? expect.unreachable();
    group.lines += 1;
    group.bytes += Buffer.byteLength(line) + 1;
    if (hasMac(line)) groups.push({ lines: 0, bytes: 0 });
  }
  expect(groups.slice(0, 4).map(({ lines }) => lines)).toEqual([1, 256, 256, 10]);
  expect(groups.length).toBeGreaterThan(8);
  expect(Math.max(...groups.map(({ bytes }) => bytes))).toBeLessThan(mostGroupBytes);
  expect(await verify()).toMatchObject({ records: 878, problems: [] });
});

test('when the disk is full in the middle of several groups, all of them are taken back', async () => {
  await using folder = await testFolder();
  let room = Number.POSITIVE_INFINITY;
  const write: FileOperations['write'] = (descriptor, bytes) => {
    if (room < bytes.length) throw new Error('no space left');
    room -= bytes.length;
    return systemFiles.write(descriptor, bytes);
  };
  const anchors = testAnchors();
  const deps = {
    clock: testClock(),
    log: testLog(),
    mac: testMac,
    anchors,
    operations: { ...systemFiles, write },
  };
  const audit = await openFileAuditLog(deps, { directory: folder.path, maxBytes: 1e9 });
  await audit.append(testEntry());
  const path = join(folder.path, first);
  const { size } = statSync(path);
  room = 200_000;
  const batch = await Promise.allSettled(Array.from({ length: 400 }, () => audit.append(testEntry())));
  expect(room).toBeLessThan(100_000);
  expect(new Set(batch.map(({ status }) => status))).toEqual(new Set(['rejected']));
  expect(statSync(path).size).toBe(size);
  room = Number.POSITIVE_INFINITY;
  await audit.append(testEntry());
  await audit.close();
  expect(JSON.parse(linesOf(path)[2] ?? '').properties).toMatchObject({
    reason: 'recordsNotWritten',
    records: 400,
  });
  const result = await verifyAuditLog({ mac: testMac, anchors }, folder.path);
  expect(result).toMatchObject({ records: 3, problems: [] });
});

test('a group larger than the log writes is refused even if its MAC is right', async () => {
  await using folder = await testFolder();
  const { anchors, verify } = await writeLog(folder.path, [1]);
  const path = join(folder.path, first);
  const { size } = statSync(path);
  const header = parseChainLine(Buffer.from(linesOf(path)[1] ?? '')) ?? expect.unreachable();
  for (const lines of [mostGroupLines, mostGroupLines + 1]) {
    truncateSync(path, size);
    const numbered = Array.from({ length: lines }, (_, index) => `{"a":1,"seq":${header.seq + 1 + index}}`);
    const mac = testMac(Buffer.from(header.mac ?? '', 'hex'), Buffer.from(numbered.join('\n')));
    const sealed = `${numbered.join('\n').slice(0, -1)},"mac":"${Buffer.from(mac).toString('hex')}"}\n`;
    appendFileSync(path, sealed);
    expect((await verify()).problemCount).toBe(lines > mostGroupLines ? 1 : 0);
  }
  expect(anchors.stored?.seq).toBe(2);
});

test('a file full of lines without a MAC is one problem, and is set aside like any other torn end', async () => {
  await using folder = await testFolder();
  const { anchors, verify } = await writeLog(folder.path, [1]);
  const open = Array.from({ length: 20_000 }, (_, index) => `{"a":1,"seq":${index + 3}}\n`).join('');
  appendFileSync(join(folder.path, first), open);
  expect((await verify()).problems).toMatchObject([{ file: first, line: 3 }]);
  const again = await openLog(folder.path, { anchors });
  await again.audit.close();
  expect(readFileSync(join(folder.path, 'audit-00000001.torn'), 'utf8')).toBe(open);
  expect((await verify()).problems).toEqual([]);
});

test('a line that would not fit is never cut', () => {
  const lines = sealGroups(groupSealing(testMac), genesis, [`{"a":"${'x'.repeat(mostGroupBytes)}"`]);
  expect(() => [...lines]).toThrow('too long');
});
