import { defineConfig } from "vitest/config"

/** Integration tests that measure how soon, how evenly or at what cost: nothing runs beside them. */
const timed = [
  "back-pressure",
  "balance",
  "breaker",
  "churn",
  "failing-endpoints",
  "failure",
  "host-limits",
  "last-words",
  "links",
  "many-nodes",
  "mesh-thread",
  "policy",
  "resources",
  "shared-policies",
  "slow-clients",
  "thread-cells",
  "threads",
  "timeouts",
  "traffic",
  "weights"
].map((name) => `test/integration/${name}.test.ts`)

/**
 * Unit tests that replace modules (vi.mock), which has to come before anybody else loads them. All others are run
 * with --no-isolate (which is not a project's to say): loading effect for each of 400 files takes as
 * long as the tests.
 */
const apart = ["Certificate", "Roots", "TwoVersions"].map(
  (name) => `src/mesh/trust/${name}.test.ts`
)

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "src/**/*.test.ts",
            "examples/**/*.test.ts",
            "bench/**/*.test.ts",
            "test/{conformance,fixtures,fuzz,simulation,regression}/**/*.test.ts"
          ],
          exclude: apart,
          testTimeout: 20_000,
          hookTimeout: 60_000
        }
      },
      {
        test: {
          name: "apart",
          include: apart,
          testTimeout: 20_000
        }
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          exclude: timed,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: "forks"
        }
      },
      {
        test: {
          name: "timed",
          include: timed,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: "forks",
          poolOptions: { forks: { singleFork: true } }
        }
      },
      {
        test: {
          name: "long",
          include: ["test/long/**/*.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 120_000,
          pool: "forks",
          poolOptions: { forks: { singleFork: true } }
        }
      }
    ]
  }
})
