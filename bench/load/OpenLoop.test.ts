import { describe, expect, test } from "vitest"
import { parseHead } from "./OpenLoopConnection.ts"
import { dueAt, scheduledAt } from "./Schedule.ts"

describe("the schedule", () => {
  test("is even, and fixed whatever the answers do", () => {
    expect([0, 1, 2].map((index) => scheduledAt(index, 500))).toEqual([0, 2, 4])
  })

  test("a request is due from its moment on, and no more than all are", () => {
    expect(dueAt(-1, 1_000, 10)).toBe(0)
    expect(dueAt(0, 1_000, 10)).toBe(1)
    expect(dueAt(2.5, 1_000, 10)).toBe(3)
    expect(dueAt(99_999, 1_000, 10)).toBe(10)
  })
})

describe("an answer's head", () => {
  test("status, length and whether the connection stays", () => {
    const head = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 66\r\n"
    expect(parseHead(head)).toEqual({ status: 200, length: 66, keepAlive: true })
    expect(parseHead(`${head}Connection: close\r\n`)).toMatchObject({ keepAlive: false })
  })

  test("without a length the loop could not tell where it ends", () => {
    expect(() => parseHead("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")).toThrow(
      "without status or Content-Length"
    )
  })
})
