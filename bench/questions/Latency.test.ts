import { expect, test } from "vitest"
import { wantedCases } from "./Latency.ts"

const names = (quick: boolean, cases?: ReadonlyArray<string>) =>
  wantedCases({ quick, cases }).map(({ name }) => name)

test("in a hurry the long case is left out, unless it is named", () => {
  const all = ["1000/s", "2000/s", "1000/s+churn100", "1000/s+churn1000"]
  expect(names(false)).toEqual(all)
  expect(names(true)).toEqual(all.filter((name) => name !== "1000/s+churn100"))
  expect(names(true, ["1000/s+churn100"])).toEqual(["1000/s+churn100"])
  expect(() => names(true, ["1000/s+churn"])).toThrow("there are 1000/s, 2000/s")
})
