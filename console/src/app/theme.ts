import {
  Badge,
  createTheme,
  type CSSVariablesResolver,
  type MantineColorsTuple,
  TableScrollContainer,
} from "@mantine/core";

const iris: MantineColorsTuple = [
  "#f0efff",
  "#dfdcfb",
  "#bdb7f2",
  "#9990e8",
  "#7a6fe0",
  "#675ada",
  "#5b4bdb",
  "#4c3dc2",
  "#4336ae",
  "#382d99",
];

export const theme = createTheme({
  primaryColor: "iris",
  primaryShade: { light: 6, dark: 5 },
  autoContrast: true,
  // Above it black, below it white is read better on a filled ground: either has 4.5 to 1 there, which white has not up to Mantine's own 0.3.
  luminanceThreshold: 0.18,
  colors: { iris },
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  fontFamily:
    "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans SC', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
  components: {
    Badge: Badge.extend({ defaultProps: { tt: "none", fw: 600 } }),
    // Wide tables are scrolled by keyboard, too.
    TableScrollContainer: TableScrollContainer.extend({
      defaultProps: { scrollAreaProps: { viewportProps: { tabIndex: 0 } } },
    }),
  },
  headings: {
    fontWeight: "650",
    sizes: { h1: { fontSize: "1.6rem" }, h2: { fontSize: "1.2rem" }, h3: { fontSize: "1rem" } },
  },
});

// Words on a pale ground and alone on the page, dark enough to be read.
const WORDS = { teal: "#066b4c", orange: "#a83509", red: "#a51f1f" };

/** Where Mantine's own colours are too faint to read: 4.5 to 1 at least, on the page and on what is raised from it. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "var(--mantine-color-gray-7)",
    "--mantine-color-error": WORDS.red,
    ...Object.fromEntries(
      Object.entries(WORDS).flatMap(([color, value]) =>
        ["light-color", "outline", "text"].map((use) => [`--mantine-color-${color}-${use}`, value]),
      ),
    ),
  },
  dark: {
    "--mantine-color-dimmed": "var(--mantine-color-dark-1)",
    "--mantine-color-anchor": "var(--mantine-color-iris-3)",
    "--mantine-color-error": "var(--mantine-color-red-4)",
  },
});
