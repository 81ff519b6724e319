/** Proves that the logs of several processes are found, verified as one and read in the order of time. */
import { appendFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openFileAuditLog } from './file-log.ts';
import { auditFolder, auditSlots, mergeVerifications, tailAuditLogs } from './several.ts';
import { testAnchors, testClock, testEntry, testFolder, testLog, testMac } from './test-support.ts';
import { verifyAuditLog } from './verify.ts';

/** Writes a record at each of the times to the log of a process. */
async function record(root: string, slot: number, times: readonly number[]) {
  const anchors = testAnchors();
  const deps = { clock: testClock(), log: testLog(), mac: testMac, anchors };
  const log = await openFileAuditLog(deps, { directory: auditFolder(root, slot), maxBytes: 1_000_000 });
  for (const time of times) await log.append(testEntry({ time }));
  await log.close();
  return { slot, check: () => verifyAuditLog({ mac: testMac, anchors }, auditFolder(root, slot)) };
}

async function lines(root: string, count: number): Promise<string[]> {
  const all: string[] = [];
  for await (const line of tailAuditLogs(root, { lines: count, follow: false })) all.push(line);
  return all;
}

test('folders of processes are told from everything else', async () => {
  await using folder = await testFolder();
  for (const name of ['worker-10', 'worker-2', 'worker-1', 'worker-x', 'worker-3b', 'old']) {
    await mkdir(`${folder.path}/${name}`);
  }
  expect(auditSlots(folder.path)).toEqual([1, 2, 10]);
  expect(auditSlots(`${folder.path}/missing`)).toEqual([1]);
  expect(auditFolder('/a', 1)).toBe('/a');
});

test('results add up, and a fault is named with its folder', async () => {
  await using folder = await testFolder();
  const logs = [await record(folder.path, 1, [1000, 4000]), await record(folder.path, 2, [2000])];
  appendFileSync(`${auditFolder(folder.path, 2)}/audit-00000001.jsonl`, '{"forged":true}\n');
  const results = await Promise.all(logs.map(async ({ slot, check }) => ({ slot, result: await check() })));
  const merged = mergeVerifications(results);
  expect(merged).toMatchObject({ files: 2, problemCount: results[1]?.result.problemCount });
  expect(merged.records).toBe((results[0]?.result.records ?? 0) + (results[1]?.result.records ?? 0));
  expect(merged.problemCount).toBeGreaterThan(0);
  expect(merged.problems[0]?.file).toBe('worker-2/audit-00000001.jsonl');
});

test('the newest lines of all logs come in the order of time', async () => {
  await using folder = await testFolder();
  const start = Date.UTC(2030, 0, 1);
  await record(folder.path, 1, [start + 1, start + 4]);
  await record(folder.path, 2, [start + 2, start + 3]);
  const times = (await lines(folder.path, 3)).map((line) => (JSON.parse(line) as { time: string }).time);
  expect(times).toEqual([2, 3, 4].map((ms) => `2030-01-01T00:00:00.00${ms}0000Z`));
  expect(await lines(folder.path, 0)).toEqual([]);
});
