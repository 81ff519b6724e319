/**
 * Rows as bytes, alike for every database: frames of 1 byte kind, 4 bytes length and the content. A head, then each
 * table that has rows (its name and columns, then its rows), then an end that counts them. Head, table and end are
 * JSON. A row is its values one after the other: 1 byte kind, then nothing for null, 8 bytes (IEEE 754) for an integer,
 * 4 bytes length and the bytes for text (UTF-8) and bytes. Numbers are big-endian.
 */
import * as v from 'valibot';
import {
  type CopiedTable,
  copiedTables,
  type DumpPage,
  isCopiedTable,
  type RowCounts,
  type Value,
} from './dump-tables.ts';

const frameKinds = { head: 1, table: 2, row: 3, end: 4 } as const;
const valueKinds = { null: 0, integer: 1, text: 2, bytes: 3 } as const;

const frameHeadLength = 5;
/** Far above any row: a length beyond it is nonsense, and is not waited for. */
const longestFrame = 256 * 1024 * 1024;
const pageLength = 100;

/** The bytes are genuine, but are not what this version of the format allows. */
export class DumpBroken extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'DumpBroken';
  }
}

const headSchema = v.object({
  /** The newest migration of the database that was read. */
  schema: v.string(),
  /** The one root key that everything in it is sealed under. */
  rootKeyId: v.string(),
  /** Milliseconds since 1970 at which it was read. */
  made: v.pipe(v.number(), v.integer()),
});
const tableSchema = v.object({
  table: v.picklist(copiedTables),
  columns: v.pipe(v.array(v.string()), v.minLength(1)),
});
const endSchema = v.object({ rows: v.record(v.string(), v.pipe(v.number(), v.integer(), v.minValue(1))) });

export type DumpHead = Readonly<v.InferOutput<typeof headSchema>>;

/** Who takes what is read; `page` gets at most 100 rows of one table. */
export interface DumpReader {
  head(head: DumpHead): Promise<void> | void;
  page(page: DumpPage): Promise<void> | void;
}

/** Writes the pages, which come table by table in the order of `copiedTables`. */
export async function* encodeDump(
  head: DumpHead,
  pages: AsyncIterable<DumpPage>,
): AsyncGenerator<Uint8Array> {
  yield jsonFrame(frameKinds.head, head);
  const counts: Partial<Record<CopiedTable, number>> = {};
  for await (const { table, columns, rows } of pages) {
    if (rows.length === 0) continue;
    if (counts[table] === undefined) yield jsonFrame(frameKinds.table, { table, columns });
    counts[table] = (counts[table] ?? 0) + rows.length;
    yield Buffer.concat(rows.map(encodeRow));
  }
  yield jsonFrame(frameKinds.end, { rows: counts });
}

/**
 * Reads what `encodeDump` wrote and resolves to its counts, which are those of the rows that were read. Rejects with
 * `DumpBroken`, or with what the source or the reader threw.
 */
export async function decodeDump(source: AsyncIterable<Uint8Array>, reader: DumpReader): Promise<RowCounts> {
  const order = createOrder(reader);
  let pending: Buffer = Buffer.alloc(0);
  for await (const bytes of source) {
    pending = pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([pending, bytes]);
    let at = 0;
    while (pending.length - at >= frameHeadLength) {
      const end = at + frameHeadLength + pending.readUInt32BE(at + 1);
      if (end - at > longestFrame) throw new DumpBroken('a frame is too long');
      if (end > pending.length) break;
      await order.take(pending.readUInt8(at), pending.subarray(at + frameHeadLength, end));
      at = end;
    }
    pending = pending.subarray(at);
  }
  if (pending.length > 0) throw new DumpBroken('the last frame is not whole');
  return order.counts();
}

interface Order {
  take(kind: number, content: Buffer): Promise<void>;
  /** Throws `DumpBroken` unless everything was there and the end agrees with it. */
  counts(): RowCounts;
}

/** Holds the frames to their order, and collects rows to pages. */
function createOrder(reader: DumpReader): Order {
  const counts: Partial<Record<CopiedTable, number>> = {};
  let state: 'start' | 'tables' | 'ended' = 'start';
  let table: v.InferOutput<typeof tableSchema> | undefined;
  let rows: Value[][] = [];
  const flush = async () => {
    if (table === undefined || rows.length === 0) return;
    const page = { ...table, rows };
    counts[page.table] = (counts[page.table] ?? 0) + rows.length;
    rows = [];
    await reader.page(page);
  };
  const begin = async (next: v.InferOutput<typeof tableSchema>) => {
    const isLater =
      table === undefined || copiedTables.indexOf(next.table) > copiedTables.indexOf(table.table);
    if (!isLater) throw new DumpBroken(`the table ${next.table} is out of its order`);
    await flush();
    table = next;
  };
  return {
    async take(kind, content) {
      if (kind === frameKinds.head && state === 'start') {
        state = 'tables';
        await reader.head(parsed(headSchema, content));
      } else if (kind === frameKinds.row && state === 'tables' && table !== undefined) {
        rows.push(decodeRow(content, table.columns.length));
        if (rows.length >= pageLength) await flush();
      } else if (kind === frameKinds.table && state === 'tables') {
        await begin(parsed(tableSchema, content));
      } else if (kind === frameKinds.end && state === 'tables') {
        await flush();
        state = 'ended';
        assertSame(parsed(endSchema, content).rows, counts);
      } else throw new DumpBroken(`a frame of kind ${kind} is out of its order`);
    },
    counts() {
      if (state !== 'ended') throw new DumpBroken('the end is missing');
      return counts;
    },
  };
}

function assertSame(claimed: Readonly<Record<string, number>>, found: RowCounts): void {
  const names = new Set([...Object.keys(claimed), ...Object.keys(found)]);
  for (const name of names) {
    const count = isCopiedTable(name) ? (found[name] ?? 0) : 0;
    if (claimed[name] !== count)
      throw new DumpBroken(`${count} rows of ${name} in place of ${claimed[name]}`);
  }
}

function parsed<S extends v.GenericSchema>(schema: S, content: Buffer): v.InferOutput<S> {
  try {
    return v.parse(schema, JSON.parse(content.toString('utf8')));
  } catch (error) {
    throw new DumpBroken('a frame is not of its form', { cause: error });
  }
}

function jsonFrame(kind: number, content: object): Buffer {
  return frame(kind, Buffer.from(JSON.stringify(content), 'utf8'));
}

function frame(kind: number, content: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeadLength + content.length);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32BE(content.length, 1);
  bytes.set(content, frameHeadLength);
  return bytes;
}

function encodeRow(values: readonly Value[]): Buffer {
  const length = values.reduce<number>((sum, value) => sum + encodedLength(value), 0);
  const bytes = Buffer.allocUnsafe(frameHeadLength + length);
  bytes.writeUInt8(frameKinds.row, 0);
  bytes.writeUInt32BE(length, 1);
  let at = frameHeadLength;
  for (const value of values) at = encodeValue(bytes, at, value);
  return bytes;
}

function encodedLength(value: Value): number {
  if (value === null) return 1;
  if (typeof value === 'number') return 1 + 8;
  return 1 + 4 + (typeof value === 'string' ? Buffer.byteLength(value, 'utf8') : value.length);
}

/** Writes the value; answers where the next one goes. */
function encodeValue(bytes: Buffer, at: number, value: Value): number {
  if (value === null) return bytes.writeUInt8(valueKinds.null, at);
  if (typeof value === 'number') {
    bytes.writeUInt8(valueKinds.integer, at);
    return bytes.writeDoubleBE(value, at + 1);
  }
  const isText = typeof value === 'string';
  bytes.writeUInt8(isText ? valueKinds.text : valueKinds.bytes, at);
  const start = at + 1 + 4;
  if (!isText) bytes.set(value, start);
  const length = isText ? bytes.write(value, start, 'utf8') : value.length;
  bytes.writeUInt32BE(length, at + 1);
  return start + length;
}

function decodeRow(content: Buffer, columns: number): Value[] {
  const values: Value[] = [];
  let at = 0;
  try {
    while (at < content.length) {
      const kind = content.readUInt8(at);
      at += 1;
      if (kind === valueKinds.null) values.push(null);
      else if (kind === valueKinds.integer) {
        values.push(content.readDoubleBE(at));
        at += 8;
      } else {
        const end = at + 4 + content.readUInt32BE(at);
        values.push(decodeBytes(kind, content.subarray(at + 4, end), end <= content.length));
        at = end;
      }
    }
  } catch (error) {
    throw new DumpBroken('a row is not of its form', { cause: error });
  }
  if (values.length !== columns)
    throw new DumpBroken('a row has not as many values as its table has columns');
  return values;
}

function decodeBytes(kind: number, bytes: Buffer, isWhole: boolean): Value {
  if (isWhole && kind === valueKinds.text) return bytes.toString('utf8');
  if (isWhole && kind === valueKinds.bytes) return bytes;
  throw new RangeError('an unknown or incomplete value');
}
