/** The command line of the benchmarks. */
import { parseArgs } from 'node:util';

export interface Options {
  /** Names of tables, and `scale`. */
  readonly only: ReadonlySet<string> | undefined;
  readonly rounds: number;
  /** Of each round. */
  readonly seconds: number;
  readonly connections: number;
  /** A part of the names of the operations of keys that are measured; all by default. */
  readonly operation: string;
  readonly scale: boolean;
  readonly scaleOnPostgres: boolean;
  /** Of the large vault. */
  readonly secrets: number;
  readonly versions: number;
}

const tables = ['get', 'uncached', 'list', 'list1', 'issue', 'validate', 'mixed', 'put', 'keys', 'scale'];

export const usage = `npm run bench -- [options]

  --only <names>       tables, with commas: ${tables.join(', ')}
  --rounds <n>         measured rounds, after one to warm up (default 5; 2 with --quick)
  --seconds <n>        of each round of each server (default 2; 0.5 with --quick)
  --connections <n>    each with one request under way (default 64)
  --operation <text>   of the keys' operations, those with it in the name; 'GET' for reads beside signatures
  --quick              in two minutes, and without the large vault
  --scale              the large vault too, with --quick
  --postgres           the large vault on PostgreSQL too
  --secrets <n>        of the large vault (default 1000000)
  --versions <n>       of one secret of the large vault (default 100000)`;

/** Undefined if it is only the usage that is asked for. Throws `TypeError` for what it does not know. */
export function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string', default: '64' },
      operation: { type: 'string', default: '' },
      quick: { type: 'boolean', default: false },
      scale: { type: 'boolean', default: false },
      postgres: { type: 'boolean', default: false },
      secrets: { type: 'string', default: '1000000' },
      versions: { type: 'string', default: '100000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  const only = values.only === undefined ? undefined : new Set(values.only.split(','));
  for (const name of only ?? []) {
    if (!tables.includes(name)) throw new TypeError(`--only knows ${tables.join(', ')}, and not '${name}'`);
  }
  return {
    only,
    rounds: positive('rounds', values.rounds ?? (quick ? '2' : '5')),
    seconds: positive('seconds', values.seconds ?? (quick ? '0.5' : '2')),
    connections: positive('connections', values.connections),
    operation: values.operation,
    scale: values.scale || (only === undefined ? !quick : only.has('scale')),
    scaleOnPostgres: values.postgres,
    secrets: positive('secrets', values.secrets),
    versions: positive('versions', values.versions),
  };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new TypeError(`--${name} must be a number above 0`);
  return number;
}
