import { expect, test } from "vitest"
import { parseDownload } from "./Curl.ts"

test("status and size of a download", () => {
  expect(parseDownload("200 1073741824")).toEqual({ status: 200, bytes: 1_073_741_824 })
  expect(() => parseDownload("")).toThrow("instead of status and size")
})
