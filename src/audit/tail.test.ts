import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFileAuditLog } from './file-log.ts';
import { tailAuditLog } from './tail.ts';
import { testAnchors, testClock, testEntry, testFolder, testLog, testMac } from './test-support.ts';

async function openLog(directory: string) {
  const deps = { clock: testClock(), log: testLog(), mac: testMac, anchors: testAnchors() };
  return await openFileAuditLog(deps, { directory, maxBytes: 2500 });
}

function allLines(directory: string): string[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1));
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const collected: string[] = [];
  for await (const line of lines) collected.push(line);
  return collected;
}

test('the last lines, over as many files as it takes, without a line under way', async () => {
  await using folder = await testFolder();
  const log = await openLog(folder.path);
  for (let i = 0; i < 10; i += 1) await log.append(testEntry({ userAgent: 'x'.repeat(i * 50) }));
  await log.close();
  const all = allLines(folder.path);
  appendFileSync(join(folder.path, readdirSync(folder.path).sort().at(-1) ?? ''), '{"time":');
  for (const lines of [0, 1, 2, 5, all.length, all.length + 5]) {
    const expected = lines === 0 ? [] : all.slice(-lines);
    expect(await collect(tailAuditLog(folder.path, { lines, follow: false }))).toEqual(expected);
  }
});

test('an empty folder has no lines', async () => {
  await using folder = await testFolder();
  expect(await collect(tailAuditLog(folder.path, { lines: 5, follow: false }))).toEqual([]);
});

test('follows across rotations, misses and repeats nothing, and ends with its signal', async () => {
  await using folder = await testFolder();
  const log = await openLog(folder.path);
  await log.append(testEntry());
  const ending = new AbortController();
  const wanted = 20;
  const seen: string[] = [];
  const reading = (async () => {
    const lines = tailAuditLog(folder.path, { lines: 1, follow: true, signal: ending.signal });
    for await (const line of lines) {
      seen.push(line);
      if (line.includes(`"operationName":"Op${wanted - 1}"`)) ending.abort();
    }
  })();
  while (seen.length === 0) await new Promise(setImmediate);
  // Each record is written while the reader is somewhere else; order and number do not depend on where.
  for (let i = 0; i < wanted; i += 1) await log.append(testEntry({ operationName: `Op${i}` }));
  await reading;
  await log.close();
  expect(seen).toEqual(allLines(folder.path).slice(-seen.length));
  expect(seen.length).toBeGreaterThan(wanted);
  expect(readdirSync(folder.path).length).toBeGreaterThan(3);
});

test('waits for the first file, and an abort while waiting ends it', async () => {
  await using folder = await testFolder();
  const ending = new AbortController();
  const lines = tailAuditLog(folder.path, { lines: 0, follow: true, signal: ending.signal });
  const first = lines.next();
  const log = await openLog(folder.path);
  expect(JSON.parse((await first).value ?? '')).toMatchObject({ operationName: 'AuditFileStarted' });
  const second = lines.next();
  ending.abort();
  expect((await second).done).toBe(true);
  await log.close();
});
