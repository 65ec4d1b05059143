// The API's page: dark where the reader's device is, and searched by what an operation is called and does.

document.documentElement.lang = "en";
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);

// The first sentence; what is more stands in the operation itself.
const firstSentence = (text = "") => text.split(/(?<=[.:;])\s/)[0].replace(/[.:;]$/, "");

function fits(words, tag, each) {
  const operation = each.get("operation");
  const about = [tag, each.get("method"), each.get("path"), operation.get("operationId"), operation.get("summary"), operation.get("description")];
  const text = about.join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// Named in SPECTACULAR_SETTINGS. Without it the box finds groups only, and a closed operation says nothing but its path.
const ReadAndSearch = ({ React }) => ({
  fn: {
    opsFilter: (tags, phrase) => {
      const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
      const found = tags.map((each, tag) => each.update("operations", (all) => all.filter((one) => fits(words, tag, one))));
      return found.filter((each) => each.get("operations").size);
    },
  },
  components: {
    FilterContainer: ({ layoutSelectors, layoutActions, specSelectors }) => {
      const found = specSelectors.taggedOperations().reduce((sum, each) => sum + each.get("operations").size, 0);
      const words = layoutSelectors.currentFilter();
      return React.createElement(
        "div",
        { className: "wrapper search" },
        React.createElement("label", { htmlFor: "search" }, "Search"),
        React.createElement("input", {
          id: "search",
          type: "search",
          autoComplete: "off",
          placeholder: "refund, /codes, settlement …",
          value: typeof words === "string" && words !== "true" ? words : "",
          onChange: (event) => layoutActions.updateFilter(event.target.value),
        }),
        React.createElement("p", { role: "status" }, `${found} operations`),
      );
    },
  },
  wrapComponents: {
    OperationSummary: (Original, { specSelectors }) => (props) => {
      const about = props.operationProps;
      const described = specSelectors.specJson().getIn(props.specPath)?.get("description");
      const summary = about.get("summary") || firstSentence(described);
      return React.createElement(Original, { ...props, operationProps: about.set("summary", summary) });
    },
  },
});
