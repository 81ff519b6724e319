import {
  appendFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isFailure } from '../core/errors.ts';
import { openFileAuditLog } from './file-log.ts';
import { type FileOperations, systemFiles } from './files.ts';
import { testAnchors, testClock, testEntry, testFolder, testLog, testMac } from './test-support.ts';
import { verifyAuditLog } from './verify.ts';

interface Setup {
  readonly directory: string;
  readonly anchors?: ReturnType<typeof testAnchors>;
  readonly maxBytes?: number;
  readonly maxFiles?: number;
  readonly operations?: FileOperations;
}

async function setUp({ directory, anchors = testAnchors(), operations, maxBytes = 1e9, maxFiles }: Setup) {
  const clock = testClock();
  const log = testLog();
  const deps = { clock, log, mac: testMac, anchors, ...(operations && { operations }) };
  const audit = await openFileAuditLog(deps, { directory, maxBytes, maxFiles });
  const verify = () => verifyAuditLog({ mac: testMac, anchors }, directory);
  return { audit, anchors, clock, log, verify };
}

function records(directory: string): Record<string, unknown>[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line));
}

const first = 'audit-00000001.jsonl';

/** Lets chores that need no timer finish: file system calls come back through the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

test('records of one turn are written once, in order, and stay on disk when the process dies', async () => {
  await using folder = await testFolder();
  const directory = join(folder.path, 'audit');
  let writes = 0;
  const write: FileOperations['write'] = (descriptor, bytes) => {
    writes += 1;
    return systemFiles.write(descriptor, bytes);
  };
  const { audit, verify } = await setUp({ directory, operations: { ...systemFiles, write } });
  const before = writes;
  const names = Array.from({ length: 100 }, (_, index) => `Op${index}`);
  await Promise.all(names.map((operationName) => audit.append(testEntry({ operationName }))));
  expect(writes - before).toBe(1);
  const lines = records(directory);
  expect(lines.map(({ seq }) => seq)).toEqual(Array.from({ length: 101 }, (_, index) => index + 1));
  expect(lines.slice(1).map(({ operationName }) => operationName)).toEqual(names);
  expect(await verify()).toMatchObject({ records: 100, files: 1, problems: [] });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, first)).mode & 0o777).toBe(0o600);
  await audit.close();
});

test('an entry that cannot be formatted is refused alone', async () => {
  await using folder = await testFolder();
  const { audit, verify } = await setUp({ directory: folder.path });
  const results = await Promise.allSettled([
    audit.append(testEntry()),
    audit.append(testEntry({ time: Number.NaN })),
    audit.append(testEntry()),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await verify()).toMatchObject({ records: 2, problems: [] });
  await audit.close();
});

test('the chain goes on over restarts and rotations', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  for (let start = 0; start < 3; start += 1) {
    const { audit } = await setUp({ directory: folder.path, anchors, maxBytes: 2000 });
    for (let i = 0; i < 7; i += 1) await audit.append(testEntry());
    await audit.close();
  }
  const result = await verifyAuditLog({ mac: testMac, anchors }, folder.path);
  expect(result).toMatchObject({ records: 21, problems: [] });
  expect(result.files).toBeGreaterThan(5);
  expect(result.firstTime).toBe('2026-01-02T03:04:05.0000000Z');
  expect(anchors.stored?.seq).toBe(21 + result.files);
});

test('closing writes what waits, anchors it, and refuses what comes later', async () => {
  await using folder = await testFolder();
  const { audit, anchors, verify } = await setUp({ directory: folder.path });
  const waiting = audit.append(testEntry());
  await audit.close();
  await waiting;
  await expect(audit.append(testEntry())).rejects.toSatisfy((error) => isFailure(error, 'unavailable'));
  expect(anchors.stored?.seq).toBe(2);
  expect(await verify()).toMatchObject({ records: 1, problems: [] });
});

test('the anchor is saved once a second while there are new records, after the data are durable', async () => {
  await using folder = await testFolder();
  const steps: string[] = [];
  const fdatasync: FileOperations['fdatasync'] = async (descriptor) => {
    await systemFiles.fdatasync(descriptor);
    steps.push('sync');
  };
  const anchors = testAnchors();
  const { save } = anchors;
  anchors.save = (anchor) => {
    steps.push(`anchor ${anchor.seq}`);
    return save.call(anchors, anchor);
  };
  const { audit, clock } = await setUp({
    directory: folder.path,
    anchors,
    operations: { ...systemFiles, fdatasync },
  });
  expect(steps).toEqual(['sync', 'anchor 1']);
  await audit.append(testEntry());
  await audit.append(testEntry());
  clock.advance(999);
  expect(steps).toHaveLength(2);
  clock.advance(1);
  await until(() => steps.length === 4);
  expect(steps.slice(2)).toEqual(['sync', 'anchor 3']);
  clock.advance(10_000);
  await audit.close();
  expect(steps).toHaveLength(4);
});

test('an anchor that cannot be saved is tried again, and requests go on', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const { save } = anchors;
  anchors.save = () => Promise.reject(new Error('database down'));
  const { audit, clock, log } = await setUp({ directory: folder.path, anchors });
  await audit.append(testEntry());
  const failures = log.messages.length;
  clock.advance(1000);
  await until(() => log.messages.length > failures);
  anchors.save = save;
  await until(() => {
    clock.advance(1000);
    return anchors.stored?.seq === 2;
  });
  await audit.close();
});

/** A disk that takes only so many bytes, and may refuse to take back what it took. */
function fullDisk() {
  const disk = { room: Number.POSITIVE_INFINITY, truncates: true };
  const operations: FileOperations = {
    ...systemFiles,
    write(descriptor, bytes) {
      const some = bytes.subarray(0, Math.min(bytes.length, disk.room));
      if (some.length === 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      disk.room -= some.length;
      return systemFiles.write(descriptor, some);
    },
    truncate(descriptor, size) {
      if (!disk.truncates) throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
      systemFiles.truncate(descriptor, size);
    },
  };
  return { disk, operations };
}

test('a full disk refuses requests, leaves no half line, and is noted when it is over', async () => {
  await using folder = await testFolder();
  const { disk, operations } = fullDisk();
  const { audit, verify, log } = await setUp({ directory: folder.path, operations });
  await audit.append(testEntry());
  const size = statSync(join(folder.path, first)).size;
  disk.room = 1500;
  for (let i = 0; i < 2; i += 1) {
    const batch = await Promise.allSettled([1, 2, 3].map(() => audit.append(testEntry())));
    for (const result of batch) {
      expect(result.status === 'rejected' && isFailure(result.reason, 'unavailable')).toBe(true);
    }
    expect(statSync(join(folder.path, first)).size).toBe(size);
  }
  expect(log.messages).toHaveLength(1);
  disk.room = Number.POSITIVE_INFINITY;
  await audit.append(testEntry({ operationName: 'After' }));
  expect(records(folder.path).slice(-2)).toMatchObject([
    { operationName: 'AuditRecovered', properties: { reason: 'recordsNotWritten', records: 6 }, seq: 3 },
    { operationName: 'After', seq: 4 },
  ]);
  expect((await verify()).problems).toEqual([]);
  await audit.close();
});

test('a file that cannot be repaired is given up; its unacknowledged lines are no problem', async () => {
  await using folder = await testFolder();
  const { disk, operations } = fullDisk();
  const anchors = testAnchors();
  const { audit, verify } = await setUp({ directory: folder.path, operations, anchors });
  await audit.append(testEntry());
  Object.assign(disk, { room: 2500, truncates: false });
  await expect(Promise.all([1, 2, 3].map(() => audit.append(testEntry())))).rejects.toThrow();
  Object.assign(disk, { room: 300 });
  await expect(audit.append(testEntry())).rejects.toThrow();
  Object.assign(disk, { room: Number.POSITIVE_INFINITY, truncates: true });
  await audit.append(testEntry());
  await audit.close();
  expect(await verify()).toMatchObject({ files: 2, problems: [] });
  const again = await setUp({ directory: folder.path, anchors });
  await again.audit.append(testEntry());
  await again.audit.close();
  expect((await verify()).problems).toEqual([]);
});

test('when no new file can be begun, the old one goes on', async () => {
  await using folder = await testFolder();
  // The last name there is: no other can follow it.
  writeFileSync(join(folder.path, 'audit-999999999999999.jsonl'), '');
  const { audit, log, verify } = await setUp({ directory: folder.path, maxBytes: 1 });
  await audit.append(testEntry());
  await audit.append(testEntry());
  expect(log.messages).toEqual(['The audit log cannot be rotated.']);
  await audit.close();
  expect(await verify()).toMatchObject({ records: 2, files: 1, problems: [] });
});

test.each([1, 20, 74, 500])(
  'a line cut off by a crash after %i of its bytes is set aside and noted',
  async (kept) => {
    await using folder = await testFolder();
    const anchors = testAnchors();
    const { audit, verify } = await setUp({ directory: folder.path, anchors });
    await audit.append(testEntry());
    await audit.close();
    const path = join(folder.path, first);
    const last = readFileSync(path).subarray(-900, -1).subarray(0, kept);
    appendFileSync(path, last);
    expect((await verify()).problems).toMatchObject([{ file: first, line: 3 }]);
    const again = await setUp({ directory: folder.path, anchors });
    await again.audit.append(testEntry());
    await again.audit.close();
    expect(readFileSync(join(folder.path, 'audit-00000001.torn'))).toEqual(last);
    expect(records(folder.path)[2]).toMatchObject({
      operationName: 'AuditRecovered',
      properties: { reason: 'incompleteEnd', bytes: kept },
    });
    expect(await verify()).toMatchObject({ records: 3, problems: [] });
  },
);

test('a crash before the first header leaves a log that starts', async () => {
  await using folder = await testFolder();
  writeFileSync(join(folder.path, first), '{"time":"20');
  const { audit, verify } = await setUp({ directory: folder.path });
  await audit.append(testEntry());
  await audit.close();
  expect(await verify()).toMatchObject({ files: 1, problems: [] });
});

test('an empty last file, as after a crash in a rotation, is used', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const { audit, verify } = await setUp({ directory: folder.path, anchors });
  await audit.append(testEntry());
  await audit.close();
  writeFileSync(join(folder.path, 'audit-00000002.jsonl'), '');
  const again = await setUp({ directory: folder.path, anchors });
  await again.audit.append(testEntry());
  await again.audit.close();
  expect(await verify()).toMatchObject({ files: 2, problems: [] });
});

test('a changed line stops the start and names the place', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const { audit } = await setUp({ directory: folder.path, anchors });
  await audit.append(testEntry());
  await audit.append(testEntry());
  await audit.close();
  const path = join(folder.path, first);
  writeFileSync(path, readFileSync(path, 'utf8').replace('SecretGet', 'SecretSet'));
  await expect(setUp({ directory: folder.path, anchors })).rejects.toThrow(
    /damaged: audit-00000001\.jsonl, line 2/,
  );
});

test.each([
  ['cut at a line', (path: string) => truncateSync(path, readFileSync(path).lastIndexOf(10, -2) + 1)],
  ['cut in a line', (path: string) => truncateSync(path, statSync(path).size - 5)],
  ['emptied', (path: string) => truncateSync(path, 0)],
  ['removed', (path: string) => rmSync(path)],
])('a log that was %s does not stop the start, and shows for ever', async (_, damage) => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const { audit, verify } = await setUp({ directory: folder.path, anchors });
  for (let i = 0; i < 3; i += 1) await audit.append(testEntry());
  await audit.close();
  damage(join(folder.path, first));
  expect((await verify()).problemCount).toBeGreaterThan(0);
  for (let start = 0; start < 2; start += 1) {
    const again = await setUp({ directory: folder.path, anchors });
    expect(again.log.messages.some((message) => message.includes('gap'))).toBe(start === 0);
    await again.audit.append(testEntry());
    await again.audit.close();
  }
  const { problems } = await verify();
  expect(problems).toHaveLength(1);
  expect(problems[0]?.message).toMatch(/declares a gap/);
  expect(anchors.stored?.seq).toBeGreaterThan(4);
});

test('a gap is declared once, even if its anchor could not be saved', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const { audit, verify } = await setUp({ directory: folder.path, anchors });
  await audit.append(testEntry());
  await audit.close();
  const path = join(folder.path, first);
  truncateSync(path, readFileSync(path).lastIndexOf(10, -2) + 1);
  const { save } = anchors;
  anchors.save = () => Promise.reject(new Error('database down'));
  const declaring = await setUp({ directory: folder.path, anchors });
  await declaring.audit.close();
  anchors.save = save;
  expect((await verify()).problems).toMatchObject([{ message: expect.stringMatching(/declares a gap/) }]);
  const next = await setUp({ directory: folder.path, anchors });
  expect(next.log.messages).toEqual([]);
  await next.audit.close();
});

test('a log that was replaced by an older one of its own is found out', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const { audit, verify } = await setUp({ directory: folder.path, anchors });
  await audit.append(testEntry());
  await audit.close();
  const older = readFileSync(join(folder.path, first));
  const oldAnchor = anchors.stored;
  const second = await setUp({ directory: folder.path, anchors });
  await second.audit.append(testEntry({ operationName: 'Theft' }));
  await second.audit.close();
  const stolen = anchors.stored;
  // The same key, another history of the same length.
  writeFileSync(join(folder.path, first), older);
  anchors.stored = oldAnchor;
  const other = await setUp({ directory: folder.path, anchors });
  await other.audit.append(testEntry({ operationName: 'Nothing' }));
  await other.audit.close();
  anchors.stored = stolen;
  expect((await verify()).problems).toMatchObject([{ message: expect.stringMatching(/replaced/) }]);
  const { log, audit: last } = await setUp({ directory: folder.path, anchors });
  expect(log.messages).toHaveLength(1);
  await last.close();
});

test('a log that lost its anchor says so', async () => {
  await using folder = await testFolder();
  const { audit } = await setUp({ directory: folder.path });
  await audit.close();
  const anchors = testAnchors();
  expect((await verifyAuditLog({ mac: testMac, anchors }, folder.path)).problems).toMatchObject([
    { message: expect.stringMatching(/no anchor/) },
  ]);
  const again = await setUp({ directory: folder.path, anchors });
  await again.audit.close();
  expect(records(folder.path).at(-1)).toMatchObject({ properties: { reason: 'anchorMissing' } });
});

test.each([
  ['removed', (path: string) => rmSync(path)],
  ['renamed', (path: string) => renameSync(path, `${path}.1`)],
  ['emptied', (path: string) => truncateSync(path, 0)],
  ['written to', (path: string) => appendFileSync(path, 'x')],
])('a file that is %s under the running log is noticed and followed by another', async (_, damage) => {
  await using folder = await testFolder();
  const { audit, clock, log, verify, anchors } = await setUp({ directory: folder.path });
  await audit.append(testEntry());
  damage(join(folder.path, first));
  clock.advance(1000);
  await until(() => log.messages.length > 0 && anchors.saved.length > 1);
  await audit.append(testEntry());
  await audit.close();
  expect(readdirSync(folder.path)).toContain('audit-00000002.jsonl');
  const { problems } = await verify();
  expect(problems.some(({ file, message }) => file !== first && /declares a gap/.test(message))).toBe(true);
});

test('old files are removed as told, which is no problem; another removal is one', async () => {
  await using folder = await testFolder();
  const anchors = testAnchors();
  const setup = { directory: folder.path, anchors, maxBytes: 1, maxFiles: 3 };
  const { audit, verify } = await setUp(setup);
  for (let i = 0; i < 6; i += 1) await audit.append(testEntry());
  await audit.close();
  const names = readdirSync(folder.path).sort();
  expect(names).toHaveLength(3);
  expect((await verify()).problems).toEqual([]);
  rmSync(join(folder.path, names[0] ?? ''));
  expect((await verify()).problems).toMatchObject([{ file: names[0], line: 0 }]);
  // Until it would have been removed anyway, no restart and no rotation covers it up.
  const again = await setUp(setup);
  await again.audit.close();
  expect(readdirSync(folder.path)).toHaveLength(3);
  expect((await verify()).problems).toMatchObject([{ file: names[0], line: 0 }]);
});

test('a name that someone else took is passed over', async () => {
  await using folder = await testFolder();
  const { audit, verify } = await setUp({ directory: folder.path, maxBytes: 1 });
  writeFileSync(join(folder.path, 'audit-00000002.jsonl'), 'not ours\n');
  await audit.append(testEntry());
  await audit.close();
  expect(readFileSync(join(folder.path, 'audit-00000002.jsonl'), 'utf8')).toBe('not ours\n');
  expect((await verify()).problems).toMatchObject([{ file: 'audit-00000002.jsonl', line: 1 }]);
});

test('a folder that cannot be written stops the start', async () => {
  await using folder = await testFolder();
  const { disk, operations } = fullDisk();
  disk.room = 0;
  await expect(setUp({ directory: folder.path, operations })).rejects.toThrow(/cannot be written/);
});
