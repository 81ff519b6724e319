import { defineConfig } from 'vitest/config';
import { optional } from './test/support/optional.ts';
import { postgresBinaries } from './test/support/postgres-cluster.ts';

const project = {
  globalSetup: ['test/support/postgres-setup.ts'],
  pool: 'forks' as const,
  testTimeout: 60_000,
  hookTimeout: 60_000,
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
    // Most of a test's time is its servers', not its own: the default leaves a core idle.
    maxWorkers: '100%',
    projects: [
      { test: { ...project, name: 'main', include: ['src/**/*.test.ts', 'test/**/*.test.ts'] } },
      ...(hasPostgres ? [{ test: onPostgres }] : []),
    ],
  },
});
