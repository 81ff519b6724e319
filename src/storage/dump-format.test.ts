/** Proves that rows come back from the format as they went in, and that bytes which are not of its form are refused. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DumpBroken, type DumpHead, decodeDump, encodeDump } from './dump-format.ts';
import type { DumpPage, Value } from './dump-tables.ts';

const head: DumpHead = { schema: '0002-some', rootKeyId: 'a-key', made: 1_700_000_000_000 };

async function* given<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function encoded(...pages: readonly DumpPage[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeDump(head, given(...pages))) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function decoded(...pieces: readonly Uint8Array[]) {
  const rows: Record<string, (readonly Value[])[]> = {};
  let found: DumpHead | undefined;
  const counts = await decodeDump(given(...pieces), {
    head(read) {
      found = read;
    },
    page(page) {
      rows[page.table] = [...(rows[page.table] ?? []), ...page.rows];
    },
  });
  return { head: found, rows, counts };
}

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.maxSafeInteger(),
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

test('rows of any values come back equal, however the bytes are cut', async () => {
  const rows = fc.array(fc.tuple(value, value, value), { minLength: 1, maxLength: 250 });
  await fc.assert(
    fc.asyncProperty(rows, rows, fc.integer({ min: 1, max: 1000 }), async (tenants, vaults, size) => {
      const columns = ['a', 'b', 'c'];
      const bytes = await encoded(
        { table: 'tenants', columns, rows: tenants.slice(0, 100) },
        { table: 'tenants', columns, rows: tenants.slice(100) },
        { table: 'subscriptions', columns, rows: [] },
        { table: 'vaults', columns, rows: vaults },
      );
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      expect(await decoded(...pieces)).toEqual({
        head,
        rows: { tenants, vaults },
        counts: { tenants: tenants.length, vaults: vaults.length },
      });
    }),
    { numRuns: 50 },
  );
});

test('a dump without rows has a head and an end', async () => {
  expect(await decoded(await encoded())).toEqual({ head, rows: {}, counts: {} });
});

const page: DumpPage = { table: 'tenants', columns: ['id', 'name'], rows: [['1', 'one']] };

function frame(kind: number, content: Buffer | object): Buffer {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([Buffer.from([kind]), length, bytes]);
}

const headFrame = frame(1, head);
const tenants = frame(2, { table: 'tenants', columns: ['id'] });
const row = frame(3, Buffer.from([2, 0, 0, 0, 1, 0x41]));
const end = (rows: object) => frame(4, { rows });

test('the frames as they are written here are read', async () => {
  expect(await decoded(headFrame, tenants, row, end({ tenants: 1 }))).toMatchObject({
    rows: { tenants: [['A']] },
  });
});

test.each<[string, Buffer[]]>([
  ['nothing', []],
  ['no head', [tenants, row, end({ tenants: 1 })]],
  ['two heads', [headFrame, headFrame, end({})]],
  ['no end', [headFrame, tenants, row]],
  ['something after the end', [headFrame, end({}), end({})]],
  ['a row before its table', [headFrame, row, tenants, end({ tenants: 1 })]],
  ['fewer rows than counted', [headFrame, tenants, row, end({ tenants: 2 })]],
  ['more rows than counted', [headFrame, tenants, row, row, end({ tenants: 1 })]],
  ['rows that are not counted', [headFrame, tenants, row, end({})]],
  ['a table that is counted and not there', [headFrame, tenants, row, end({ tenants: 1, vaults: 1 })]],
  ['a table twice', [headFrame, tenants, row, tenants, row, end({ tenants: 2 })]],
  ['tables out of order', [headFrame, frame(2, { table: 'vaults', columns: ['id'] }), row, tenants, row]],
  ['an unknown table', [headFrame, frame(2, { table: 'sqlite_master', columns: ['id'] }), row]],
  ['a table that is not copied', [headFrame, frame(2, { table: 'leases', columns: ['name'] }), row]],
  ['a head of another form', [frame(1, { schema: 1 }), end({})]],
  ['a head that is not JSON', [frame(1, Buffer.from('{')), end({})]],
  ['an unknown kind of frame', [headFrame, frame(9, {}), end({})]],
  ['an unknown kind of value', [headFrame, tenants, frame(3, Buffer.from([9, 0, 0, 0, 0]))]],
  ['a value beyond its row', [headFrame, tenants, frame(3, Buffer.from([2, 0, 0, 0, 9, 0x41]))]],
  ['a number cut short', [headFrame, tenants, frame(3, Buffer.from([1, 0, 0]))]],
  ['too few values', [headFrame, tenants, frame(3, Buffer.alloc(0))]],
  ['too many values', [headFrame, tenants, frame(3, Buffer.from([0, 0]))]],
  ['an endless frame', [headFrame, Buffer.from([3, 0xff, 0xff, 0xff, 0xff])]],
  ['a frame cut short', [headFrame, tenants, row.subarray(0, -1)]],
])('%s is refused', async (_what, pieces) => {
  await expect(decoded(...pieces)).rejects.toThrow(DumpBroken);
});

test('a dump cut short anywhere is refused', async () => {
  const bytes = await encoded(page);
  for (let length = 0; length < bytes.length; length += 1)
    await expect(decoded(bytes.subarray(0, length)), `${length}`).rejects.toThrow(DumpBroken);
});
