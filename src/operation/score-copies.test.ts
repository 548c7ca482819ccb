import { describe, expect, test } from "vitest";
import { placeOf } from "./copies.ts";
import { scoreCopies } from "./score-copies.ts";
import type { DestinationFacts, Met, Place, PointFact } from "./score-copies.ts";

const NOW = new Date("2026-11-10T00:00:00Z");
const LATER = new Date("2026-12-10T00:00:00Z");
const EARLIER = new Date("2026-11-01T00:00:00Z");

const AWS_CAPE: Place = { kind: "s3", provider: "aws", region: "af-south-1" };
const AWS_DUBLIN: Place = { kind: "s3", provider: "aws", region: "eu-west-1" };
const AWS_SOMEWHERE: Place = { kind: "s3", provider: "aws", region: undefined };
const GOOGLE: Place = { kind: "gs", provider: "google", region: undefined };
const UNTOLD: Place = { kind: "rest", provider: undefined, region: undefined };
const FOLDER: Place = { kind: "folder", provider: "machine web1", region: undefined };

type Locked = PointFact["lockedUntil"];

function facts(
  destination: string,
  place: Place,
  {
    lockedUntil = "none",
    errors,
    tree = "t1",
    state,
    unreadPacks = 0,
  }: {
    lockedUntil?: Locked | "unread";
    errors?: number;
    tree?: string;
    state?: PointFact["state"];
    unreadPacks?: number;
  } = {},
): DestinationFacts {
  const lock = lockedUntil === "unread" ? undefined : lockedUntil;
  const points = [{ time: "2026-11-09T00:00:00.000Z", tree, lockedUntil: lock, state }];
  const check = errors === undefined ? undefined : { at: NOW, errors, unreadPacks };
  return { destination, read: { place, points, check } };
}

const AWAY: DestinationFacts = { destination: "away", read: undefined, trouble: "not reachable" };

function metOf(list: readonly DestinationFacts[]): Record<string, Met> {
  const { newest } = scoreCopies(list, NOW);
  if (newest === undefined) throw new Error("no point");
  const { copies, kinds, offsite, immutable, errors } = newest;
  return Object.fromEntries(
    Object.entries({ copies, kinds, offsite, immutable, errors }).map(([name, { met }]) => [
      name,
      met,
    ]),
  );
}

const clean = { errors: 0 };
const locked = { errors: 0, lockedUntil: LATER };
const unread = { errors: 0, lockedUntil: "unread" } as const;

const CASES: readonly (readonly [what: string, facts: readonly DestinationFacts[], met: string])[] =
  [
    [
      "two providers, one locked",
      [facts("main", AWS_CAPE, clean), facts("copy", GOOGLE, locked)],
      "yes yes yes yes yes",
    ],
    ["one repository", [facts("main", AWS_CAPE, locked)], "no no no yes yes"],
    [
      "two folders of a machine",
      [facts("main", FOLDER, clean), facts("copy", FOLDER, clean)],
      "yes no no no yes",
    ],
    [
      "two regions of one provider",
      [facts("main", AWS_CAPE, clean), facts("copy", AWS_DUBLIN, clean)],
      "yes no yes no yes",
    ],
    [
      "one region twice",
      [facts("main", AWS_CAPE, clean), facts("copy", AWS_CAPE, clean)],
      "yes no no no yes",
    ],
    [
      "a region that nobody told",
      [facts("main", AWS_CAPE, clean), facts("copy", AWS_SOMEWHERE, clean)],
      "yes no unknown no yes",
    ],
    [
      "a provider that nobody told",
      [facts("main", AWS_CAPE, clean), facts("copy", UNTOLD, clean)],
      "yes unknown unknown no yes",
    ],
    [
      "a copy that is away, which might hold it",
      [facts("main", AWS_CAPE, clean), AWAY],
      "unknown unknown unknown unknown unknown",
    ],
    [
      "a copy that holds another tree",
      [facts("main", AWS_CAPE, clean), facts("copy", GOOGLE, { ...clean, tree: "t2" })],
      "no no no no yes",
    ],
    [
      "a lock that has ended",
      [
        facts("main", AWS_CAPE, { ...clean, lockedUntil: EARLIER }),
        facts("copy", GOOGLE, { ...clean, lockedUntil: NOW }),
      ],
      "yes yes yes no yes",
    ],
    [
      "a lock that nobody read",
      [facts("main", AWS_CAPE, unread), facts("copy", GOOGLE, clean)],
      "yes yes yes unknown yes",
    ],
    [
      "a repository that nobody checked",
      [facts("main", AWS_CAPE, locked), facts("copy", GOOGLE)],
      "yes yes yes yes unknown",
    ],
    [
      "errors in one, whatever is unknown of the other",
      [facts("main", AWS_CAPE, locked), facts("copy", GOOGLE, { errors: 2 }), AWAY],
      "yes yes yes yes no",
    ],
    [
      "a point that is suspect in one",
      [facts("main", AWS_CAPE, { ...locked, state: "suspect" }), facts("copy", GOOGLE, clean)],
      "yes yes yes yes no",
    ],
    [
      "a check that could not read all",
      [facts("main", AWS_CAPE, locked), facts("copy", GOOGLE, { ...clean, unreadPacks: 1 })],
      "yes yes yes yes unknown",
    ],
  ];

describe("3-2-1-1-0", () => {
  test.for(CASES)("of %s", ([, list, met]) => {
    expect(Object.values(metOf(list)).join(" ")).toBe(met);
  });

  test("names the facts behind each number, and what is not known", () => {
    const list = [facts("main", AWS_CAPE, clean), facts("copy", GOOGLE, locked), AWAY];
    const { newest } = scoreCopies(list, NOW);
    if (newest === undefined) throw new Error("no point");
    expect(newest.copies).toEqual({
      met: "yes",
      needed: 2,
      count: 2,
      facts: ["main holds it", "copy holds it"],
      unknown: ["away: not reachable"],
    });
    expect(newest.offsite.facts).toEqual(["copy: gs at google"]);
    expect(newest.kinds.facts).toEqual(["main: s3 at aws, af-south-1", "copy: gs at google"]);
    expect(newest.immutable.facts).toEqual(["copy: locked until 2026-12-10 00:00:00Z"]);
    expect(newest.errors).toMatchObject({ met: "unknown", unknown: ["away: not reachable"] });
  });

  test("is counted for every point, the newest first", () => {
    const point = (day: number): PointFact => ({
      time: `2026-11-0${day}T00:00:00.000Z`,
      tree: `t${day}`,
      lockedUntil: LATER,
      state: "verified",
    });
    const check = { at: NOW, errors: 0, unreadPacks: 0 };
    const both = [point(1), point(2)];
    const { points, newest, short } = scoreCopies(
      [
        { destination: "main", read: { place: AWS_CAPE, points: [...both, point(3)], check } },
        { destination: "copy", read: { place: GOOGLE, points: both, check } },
      ],
      NOW,
    );
    expect(points.map(({ tree }) => tree)).toEqual(["t3", "t2", "t1"]);
    expect(newest).toBe(points[0]);
    expect(points.map(({ copies }) => copies.count)).toEqual([1, 2, 2]);
    expect(short).toBe(1);
  });

  test("of nothing is nothing", () => {
    expect(scoreCopies([AWAY], NOW)).toEqual({ points: [], newest: undefined, short: 0 });
  });
});

describe("the place of a copy", () => {
  test.for([
    [{ url: "/a" }, { kind: "folder", provider: "machine h" }],
    [{ url: "file:///a" }, { kind: "folder", provider: "machine h" }],
    [
      { url: "s3://b/p", region: "r" },
      { kind: "s3", provider: "aws", region: "r" },
    ],
    [
      { url: "s3://b", endpoint: "https://s3.example:9000", region: "r" },
      { kind: "s3", provider: "s3.example" },
    ],
    [{ url: "gs://b" }, { kind: "gs", provider: "google" }],
    [{ url: "rest:https://host:8000/x/" }, { kind: "rest", provider: "host" }],
    [{ url: "rest:nonsense" }, { kind: "rest" }],
  ] as const)("is where it was reached: %j", ([destination, place]) => {
    const told = placeOf({ ...destination, password: { env: "P" } }, "h");
    expect({ ...told }).toEqual({ provider: undefined, region: undefined, ...place });
  });
});
