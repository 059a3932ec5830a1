/**
 * Actors in PostgreSQL, for programs that have its client (`npm install @effect/sql-pg @effect/sql
 * @effect/experimental`): apart from the rest of the library, which needs none.
 */
export * as PostgresStore from "./entity/store/PostgresStore.ts"
