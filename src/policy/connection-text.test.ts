import { expect, test } from "vitest";
import { passwordProblem } from "./connection-text.ts";

const PASSWORD = "a password in a connection string";
const UNREADABLE = "no connection string of PostgreSQL";

test.for([
  ["postgresql://u@h:5432/d", undefined],
  ["postgres://h/d", undefined],
  ["postgresql://u@h1:5432,h2:5433/d?application_name=x", undefined],
  ["postgresql:///d?host=/run/postgresql&user=u", undefined],
  ["postgresql://u@[::1]:5432/d", undefined],
  ["host=h user=u dbname=d", undefined],
  ["postgresql://u:pw@h/d", PASSWORD],
  ["postgresql://u:@h/d", PASSWORD],
  ["POSTGRESQL://u:pw@h/d", PASSWORD],
  ["postgresql://u:p/w@h/d", PASSWORD],
  ["postgresql://u:p?w@h/d", PASSWORD],
  ["postgresql://u@h/d?password=pw", PASSWORD],
  ["postgresql://u@h/d?sslmode=require&password=pw", PASSWORD],
  ["host=h password=pw", PASSWORD],
  ["password = 'p w' host=h", PASSWORD],
  ["mysql://u:pw@h/d", UNREADABLE],
  ["", UNREADABLE],
  ["shop", UNREADABLE],
] as const)("%s", ([text, problem]) => {
  expect(passwordProblem(text)).toBe(problem);
});
