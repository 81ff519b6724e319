import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { optional } from './test/support/optional.ts';
import { postgresBinaries } from './test/support/postgres-cluster.ts';

const project = {
  globalSetup: ['test/support/postgres-setup.ts'],
  pool: 'forks' as const,
  // A process for each file would load the same modules again, which took a quarter of the whole run. What a file changes
  // in its process it puts back.
  isolate: false,
  // Limits end what hangs, on a busy machine too: none is an expectation.
  testTimeout: 180_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 60_000 } },
};

/** What goes through a whole server runs once more with its data in PostgreSQL. */
const onPostgres = {
  ...project,
  name: 'postgres',
  include: [
    'test/wire/**/*.test.ts',
    'test/coverage/**/*.test.ts',
    'test/properties/**/*.test.ts',
    'test/faults/**/*.test.ts',
  ],
  env: { STRONGROOM_TEST_DATABASE: 'postgres' },
};
const hasPostgres = optional('the wire suites on PostgreSQL', postgresBinaries() !== undefined);

export default defineConfig({
  test: {
    reporters: ['default'],
    // Files wait for processes, leases and disks: one more than there are cores keeps all of them busy.
    maxWorkers: availableParallelism() + 1,
    projects: [
      { test: { ...project, name: 'main', include: ['src/**/*.test.ts', 'test/**/*.test.ts'] } },
      ...(hasPostgres ? [{ test: onPostgres }] : []),
    ],
  },
});
