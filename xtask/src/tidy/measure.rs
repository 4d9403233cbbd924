//! Measures of a Rust file: its functions, its modules, and how much of it is tests.

use syn::visit::{self, Visit};

#[derive(Debug, Default)]
pub(super) struct Measures {
    pub(super) functions: Vec<Function>,
    pub(super) traits: Vec<Trait>,
    pub(super) modules: Vec<Module>,
    /// Lines of modules that exist for tests only.
    pub(super) test_lines: usize,
}

#[derive(Debug)]
pub(super) struct Function {
    /// `Type::name` for a method, so that an exception finds it again.
    pub(super) item: String,
    pub(super) line: usize,
    /// From `fn` to the closing brace.
    pub(super) lines: usize,
    /// Without `self`.
    pub(super) parameters: usize,
    /// How many conditions, matches and loops stand inside one another, at most.
    pub(super) nesting: usize,
    pub(super) is_test: bool,
}

#[derive(Debug)]
pub(super) struct Trait {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) methods: usize,
}

#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) line: usize,
}

pub(super) fn measure(text: &str) -> syn::Result<Measures> {
    let file = syn::parse_file(text)?;
    let mut visitor = Visitor::default();
    visitor.visit_file(&file);
    Ok(visitor.measures)
}

#[derive(Default)]
struct Visitor {
    measures: Measures,
    /// The type of the `impl` or the name of the trait that we stand in.
    owner: Option<String>,
    is_in_tests: bool,
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let line = module.ident.span().start().line;
        self.measures.modules.push(Module {
            name: module.ident.to_string(),
            line,
        });
        let was_in_tests = self.is_in_tests;
        if !was_in_tests && module.attrs.iter().any(is_cfg_test) {
            self.is_in_tests = true;
            self.measures.test_lines += lines_with_attributes(module);
        }
        visit::visit_item_mod(self, module);
        self.is_in_tests = was_in_tests;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = self.owner.replace(type_name(&item.self_ty));
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let methods = item
            .items
            .iter()
            .filter(|item| matches!(item, syn::TraitItem::Fn(_)))
            .count();
        let (name, line) = (item.ident.to_string(), item.ident.span().start().line);
        self.measures.traits.push(Trait {
            name: name.clone(),
            line,
            methods,
        });
        let outer = self.owner.replace(name);
        visit::visit_item_trait(self, item);
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block, &function.attrs);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block, &function.attrs);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block, &function.attrs);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

impl Visitor {
    fn function(
        &mut self,
        signature: &syn::Signature,
        block: &syn::Block,
        attributes: &[syn::Attribute],
    ) {
        let name = signature.ident.to_string();
        let item = self
            .owner
            .as_ref()
            .map_or_else(|| name.clone(), |owner| format!("{owner}::{name}"));
        let start = signature.fn_token.span.start().line;
        let inputs = signature.inputs.iter();
        let mut nesting = Nesting::default();
        nesting.visit_block(block);
        self.measures.functions.push(Function {
            item,
            line: start,
            lines: block.brace_token.span.close().end().line - start + 1,
            parameters: inputs
                .filter(|input| matches!(input, syn::FnArg::Typed(_)))
                .count(),
            nesting: nesting.deepest,
            is_test: self.is_in_tests || attributes.iter().any(is_test),
        });
    }
}

/// Depth of control flow; an `else if` chain is one step, a function inside a function counts for itself.
#[derive(Default)]
struct Nesting {
    depth: usize,
    deepest: usize,
}

impl Nesting {
    fn deeper(&mut self, visit: impl FnOnce(&mut Self)) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        visit(self);
        self.depth -= 1;
    }
}

impl<'ast> Visit<'ast> for Nesting {
    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_expr_if(&mut self, expression: &'ast syn::ExprIf) {
        self.visit_expr(&expression.cond);
        self.deeper(|nesting| nesting.visit_block(&expression.then_branch));
        match expression.else_branch.as_ref().map(|(_, branch)| &**branch) {
            Some(syn::Expr::If(chained)) => self.visit_expr_if(chained),
            Some(branch) => self.deeper(|nesting| nesting.visit_expr(branch)),
            None => {}
        }
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        self.deeper(|nesting| visit::visit_expr_match(nesting, expression));
    }

    fn visit_expr_for_loop(&mut self, expression: &'ast syn::ExprForLoop) {
        self.deeper(|nesting| visit::visit_expr_for_loop(nesting, expression));
    }

    fn visit_expr_while(&mut self, expression: &'ast syn::ExprWhile) {
        self.deeper(|nesting| visit::visit_expr_while(nesting, expression));
    }

    fn visit_expr_loop(&mut self, expression: &'ast syn::ExprLoop) {
        self.deeper(|nesting| visit::visit_expr_loop(nesting, expression));
    }
}

/// 0 for `mod tests;`, whose lines are another file's.
fn lines_with_attributes(module: &syn::ItemMod) -> usize {
    let Some((brace, _)) = &module.content else {
        return 0;
    };
    let first = module
        .attrs
        .first()
        .map_or(module.mod_token.span, |attr| attr.pound_token.spans[0]);
    brace.span.close().end().line - first.start().line + 1
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let is_test = |condition: syn::Path| condition.is_ident("test");
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(is_test)
}

/// `#[test]`, `#[tokio::test]` and the like.
fn is_test(attribute: &syn::Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "test")
}

fn type_name(of: &syn::Type) -> String {
    match of {
        syn::Type::Path(path) => path
            .path
            .segments
            .last()
            .map_or_else(String::new, |segment| segment.ident.to_string()),
        syn::Type::Reference(reference) => type_name(&reference.elem),
        _ => "_".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(text: &str) -> Function {
        measure(text).unwrap().functions.remove(0)
    }

    #[test]
    fn a_method_carries_its_type_and_counts_no_self() {
        let found = function("impl Log { fn append(\n&self,\na: u8, b: u8) {\n}\n}");
        assert_eq!(
            (found.item.as_str(), found.parameters, found.lines),
            ("Log::append", 2, 4)
        );
    }

    #[test]
    fn nesting_counts_control_flow_and_an_else_if_chain_once() {
        let nesting = |body: &str| function(&format!("fn f() {{ {body} }}")).nesting;
        assert_eq!(nesting("a(); { b(); }"), 0);
        assert_eq!(nesting("if a {} else if b {} else if c {} else {}"), 1);
        assert_eq!(
            nesting("for a in b { while c { match d { _ => loop {} } } }"),
            4
        );
        assert_eq!(nesting("if a { fn inner() { if b { if c {} } } }"), 1);
        assert_eq!(nesting("if a.all(|b| { if b { c } else { d } }) {}"), 1);
    }

    #[test]
    fn lines_of_test_modules_are_counted_apart() {
        let found =
            measure("fn f() {}\n#[cfg(test)]\nmod tests {\n#[test]\nfn g() {}\n}\n").unwrap();
        assert_eq!(found.test_lines, 5);
        assert_eq!(
            found
                .functions
                .iter()
                .map(|f| f.is_test)
                .collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn support_for_tests_elsewhere_counts_as_code() {
        let found =
            measure("#[cfg(any(test, feature = \"testing\"))]\nmod testing {\n}\n").unwrap();
        assert_eq!(found.test_lines, 0);
    }

    #[test]
    fn a_trait_is_measured_by_its_methods() {
        let found = measure("trait T { const A: u8; fn f(); fn g() {} }").unwrap();
        assert_eq!(found.traits[0].methods, 2);
    }
}
